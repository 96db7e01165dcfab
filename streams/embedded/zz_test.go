package embedded_test
import ("testing";"fmt")
func TestZZ(t *testing.T){ for i:=0;i<40;i++ { t.Run(fmt.Sprint(i), func(t *testing.T){ killAfter = 20+i*12; TestKill(t) }) } }
