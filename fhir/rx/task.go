package rx

import "github.com/dosewire/dosewire/internal/fault"

// TaskStatus is s as FHIR R4 Task.status says it (PROTOCOL §5), and the reason where the status alone
// would mislead, "" = none. The Task is the fulfilment of the next fill while there is one: it is ready
// again after each hand-over that leaves fills. What the clinic has paused, or wants to cancel while a
// pharmacy holds it, is on hold.
func (s State) TaskStatus() (status string, reason fault.Code) {
	switch {
	case s.live() && s.CancelPending:
		return "on-hold", fault.CodeCancelPending
	case s.live() && s.OnHold:
		return "on-hold", fault.CodeOnHold
	}
	switch s.Phase {
	case Ready:
		if s.RecordOnly {
			return "ready", fault.CodeNotRouted
		}
		return "ready", ""
	case Held:
		if len(s.Parts) > 0 {
			return "in-progress", ""
		}
		return "accepted", ""
	case Collect:
		return "in-progress", ""
	case Completed:
		return "completed", ""
	case Cancelled:
		return "cancelled", fault.CodeCancelled
	case Replaced:
		return "cancelled", fault.CodeReplaced
	case Expired:
		return "failed", fault.CodeExpired
	}
	return "draft", ""
}
