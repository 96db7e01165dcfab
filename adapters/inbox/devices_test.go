package inbox

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/dosewire/dosewire/ledger"
)

const (
	point    = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
	jsonType = "application/json"
)

func pushSubscription(endpoint string) string {
	return fmt.Sprintf(`{"endpoint":%q,"expirationTime":null,"keys":{"p256dh":%q,"auth":"BTBZMqHH6r4Tts7J_aSIgg"}}`, endpoint, point)
}

func (h *household) live(t *testing.T) int {
	t.Helper()
	ds, err := h.Devices(t.Context(), h.ada)
	if err != nil {
		t.Fatal(err)
	}
	return len(ds)
}

// TestQuietHoursAreSealed: they are kept with the device, and nonsense is refused.
func TestQuietHoursAreSealed(t *testing.T) {
	h := newHousehold(t)
	c := h.client(h.serve()).signIn(h.world, h.ada)
	send := func(quiet string) int {
		body := strings.TrimSuffix(pushSubscription("https://push.example/a"), "}") + `,"quiet":` + quiet + "}"
		res, _ := c.do("POST", "/inbox/devices", jsonType, body)
		return res.StatusCode
	}
	if got := send(`{"from":"22:00","until":"22:00","zone":"UTC"}`); got != 400 {
		t.Errorf("the whole day: %d", got)
	}
	if got := send(`{"from":"22:00","until":"07:00","zone":"Europe/Berlin"}`); got != 204 || h.live(t) != 1 {
		t.Fatalf("got %d", got)
	}
	for _, d := range h.devices {
		key, _ := h.Key(t.Context(), d.KeyID)
		plain, err := ledger.Open(key, sealed(d), nil)
		if err != nil || !bytes.Contains(plain, []byte("Europe/Berlin")) || bytes.Contains(d.Endpoint, []byte("Berlin")) {
			t.Errorf("sealed: %v", err)
		}
	}
}

func TestABrowserIsOneDevice(t *testing.T) {
	h := newHousehold(t)
	c := h.client(h.serve()).signIn(h.world, h.ada)
	for _, endpoint := range []string{"https://push.example/canary-a", "https://push.example/canary-a", "https://push.example/canary-b"} {
		if res, _ := c.do("POST", "/inbox/devices", jsonType, pushSubscription(endpoint)); res.StatusCode != 204 {
			t.Fatalf("got %d", res.StatusCode)
		}
	}
	if n := h.live(t); n != 2 {
		t.Fatalf("%d devices, want 2", n)
	}
	for _, d := range h.devices {
		if d.Patient != h.ada || d.Transport != "webpush" || bytes.Contains(d.Endpoint, []byte("canary")) {
			t.Errorf("device %+v", d)
		}
		key, _ := h.Key(t.Context(), d.KeyID)
		plain, err := ledger.Open(key, sealed(d), nil)
		if err != nil || !bytes.Contains(plain, []byte("canary")) {
			t.Errorf("cannot be opened: %v", err)
		}
	}
	_, page := c.get("/inbox/")
	wantText(t, page, "On for 2 devices.", `action="/inbox/devices/off"`)

	if res, _ := c.do("POST", "/inbox/devices/off", jsonType, `{"endpoint":"https://push.example/canary-a"}`); res.StatusCode != 204 || h.live(t) != 1 {
		t.Errorf("one off: %d devices", h.live(t))
	}
	if res, _ := c.post("/inbox/devices/off", nil); res.StatusCode != 303 || h.live(t) != 0 {
		t.Errorf("all off: %d devices", h.live(t))
	}
}

func TestDevicesAreBounded(t *testing.T) {
	h := newHousehold(t)
	c := h.client(h.serve()).signIn(h.world, h.ada)
	for i := range maxDevices + 3 {
		c.do("POST", "/inbox/devices", jsonType, pushSubscription(fmt.Sprintf("https://push.example/%d", i)))
	}
	if n := h.live(t); n != maxDevices {
		t.Errorf("%d devices, want %d", n, maxDevices)
	}
}

func TestWhatIsNoSubscriptionIsRefused(t *testing.T) {
	h := newHousehold(t)
	c := h.client(h.serve()).signIn(h.world, h.ada)
	for name, body := range map[string]string{
		"empty": `{}`, "not JSON": `x`, "no host": pushSubscription("/relative"), "scheme": pushSubscription("ftp://x/y"),
		"long":  pushSubscription("https://x/" + strings.Repeat("y", 2048)),
		"point": strings.Replace(pushSubscription("https://x/y"), point[:10], "AAAAAAAAAA", 1),
		"auth":  strings.Replace(pushSubscription("https://x/y"), "BTBZMqHH6r4Tts7J_aSIgg", "AAAA", 1),
	} {
		if res, _ := c.do("POST", "/inbox/devices", jsonType, body); res.StatusCode != 400 || h.live(t) != 0 {
			t.Errorf("%s: got %d", name, res.StatusCode)
		}
	}
	if res, _ := c.do("POST", "/inbox/devices/off", jsonType, `{}`); res.StatusCode != 400 {
		t.Errorf("off without an endpoint: got %d", res.StatusCode)
	}
}
