// Package all lists the adapters that the binary contains. A new adapter is one folder and one line
// here.
package all

import (
	"github.com/dosewire/dosewire/adapters"
	"github.com/dosewire/dosewire/adapters/clinic"
	"github.com/dosewire/dosewire/adapters/inbox"
	"github.com/dosewire/dosewire/adapters/pharmacy"
	"github.com/dosewire/dosewire/adapters/push"
)

// List returns every adapter.
func List() []adapters.Spec {
	return []adapters.Spec{
		clinic.Spec(),
		pharmacy.Spec(),
		push.Spec(),
		inbox.Spec(),
	}
}
