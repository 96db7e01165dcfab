package directory

import (
	"time"

	"github.com/dosewire/dosewire/internal/fault"
)

// Quiet are the hours in which a patient's device is not to be woken. It is sealed with the device's endpoint,
// because it says something about a life. The zero Quiet is none.
type Quiet struct {
	From  string `json:"from"`  // "22:00", local time
	Until string `json:"until"` // "07:00": the next day when it is not after From
	Zone  string `json:"zone"`  // IANA name, as the browser says it
}

// ErrQuiet: times or zone cannot be read.
var ErrQuiet = fault.New(fault.Invalid, "directory: quiet hours need two times as 22:00 and a time zone")

// Check says whether Left can be asked. Equal times are refused: nobody is silent for ever by mistake.
func (q Quiet) Check() error {
	if q == (Quiet{}) {
		return nil
	}
	_, _, _, err := q.parse()
	return err
}

func (q Quiet) parse() (from, until time.Duration, zone *time.Location, err error) {
	a, err1 := time.Parse("15:04", q.From)
	b, err2 := time.Parse("15:04", q.Until)
	zone, err3 := time.LoadLocation(q.Zone)
	here := q.Zone == "" || q.Zone == "Local" // to time.LoadLocation these are UTC and the hub's own zone, never a patient's
	if here || err1 != nil || err2 != nil || err3 != nil || len(q.Zone) > 64 || a.Equal(b) {
		return 0, 0, nil, ErrQuiet
	}
	clock := func(t time.Time) time.Duration {
		return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
	}
	return clock(a), clock(b), zone, nil
}

// Left is how long it stays quiet from now on, 0 = it is not. Quiet hours that cannot be read are none.
func (q Quiet) Left(now time.Time) time.Duration {
	if q == (Quiet{}) {
		return 0
	}
	from, until, zone, err := q.parse()
	if err != nil {
		return 0
	}
	local := now.In(zone)
	day := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, zone)
	at := func(days int, clock time.Duration) time.Time {
		d := day.AddDate(0, 0, days)
		return time.Date(d.Year(), d.Month(), d.Day(), int(clock/time.Hour), int(clock%time.Hour/time.Minute), 0, 0, zone)
	}
	for _, began := range []int{-1, 0} { // last night's, and today's
		start, end := at(began, from), at(began, until)
		if until <= from {
			end = at(began+1, until)
		}
		if !now.Before(start) && now.Before(end) {
			return end.Sub(now)
		}
	}
	return 0
}
