package rx

// Business is where a prescription stands in a patient's words. Task.businessStatus, the inbox and the
// operator's view take theirs from here.
type Business string

// Where a prescription can stand.
const (
	NotIssued          Business = "not-issued"
	ChoosePharmacy     Business = "choose-pharmacy"
	ChooseAnother      Business = "choose-another-pharmacy" // one has declined it
	NotSent            Business = "not-sent"                // recorded only
	SentToPharmacy     Business = "sent-to-pharmacy"
	NextFill           Business = "next-fill-available"
	RemainderAvailable Business = "remainder-available"
	WithPharmacy       Business = "with-pharmacy"
	PreparingRemainder Business = "preparing-remainder"
	ReadyToCollect     Business = "ready-to-collect"
	ReadyPartial       Business = "ready-to-collect-partial"
	Collected          Business = "collected"
	NotDispensed       Business = "not-dispensed"
	EndedEarly         Business = "ended" // with fills left
	Paused             Business = "paused"
	BeingCancelled     Business = "being-cancelled"
	IsCancelled        Business = "cancelled"
	IsReplaced         Business = "replaced"
	IsExpired          Business = "expired"
)

// NHSBusinessStatus is the code system of the NHS App's status steps, whose codes Business.NHS gives.
const NHSBusinessStatus = "https://fhir.nhs.uk/CodeSystem/task-businessStatus-nppt"

// word is how a Business is said. nhs is the code of NHSBusinessStatus that means the same, "" = none.
type word struct{ text, nhs string }

func (b Business) word() word {
	switch b {
	case NotIssued:
		return word{"Not issued", ""}
	case ChoosePharmacy:
		return word{"Choose a pharmacy", ""}
	case ChooseAnother:
		return word{"Choose another pharmacy", ""}
	case NotSent:
		return word{"Not sent electronically", ""}
	case SentToPharmacy:
		return word{"Sent to pharmacy", ""}
	case NextFill:
		return word{"Next fill available", ""}
	case RemainderAvailable:
		return word{"Remainder available", ""}
	case WithPharmacy:
		return word{"With pharmacy", "With Pharmacy"}
	case PreparingRemainder:
		return word{"Preparing remainder", "With Pharmacy - Preparing Remainder"}
	case ReadyToCollect:
		return word{"Ready to collect", "Ready to Collect"}
	case ReadyPartial:
		return word{"Ready to collect (partial)", "Ready to Collect - Partial"}
	case Collected:
		return word{"Collected", "Collected"}
	case NotDispensed:
		return word{"Not dispensed", "Not Dispensed"}
	case EndedEarly:
		return word{"Ended", ""}
	case Paused:
		return word{"Paused by your clinic", ""}
	case BeingCancelled:
		return word{"Being cancelled", ""}
	case IsCancelled:
		return word{"Cancelled", ""}
	case IsReplaced:
		return word{"Replaced", ""}
	case IsExpired:
		return word{"Expired", ""}
	}
	return word{"Status unknown", ""}
}

// Text is b as a patient reads it.
func (b Business) Text() string { return b.word().text }

// NHS is the code of NHSBusinessStatus that means the same, "" if none does.
func (b Business) NHS() string { return b.word().nhs }

// Business is where s stands. A hold or a pending cancel covers the phase beneath it, as in Status.
func (s State) Business() Business {
	switch {
	case s.live() && s.CancelPending:
		return BeingCancelled
	case s.live() && s.OnHold:
		return Paused
	}
	switch s.Phase {
	case Ready:
		return s.waits()
	case Held:
		if len(s.Parts) > 0 {
			return PreparingRemainder
		}
		return WithPharmacy
	case Collect:
		return s.waitsThere()
	case Completed:
		switch {
		case s.FillsDone >= s.FillsAllowed:
			return Collected
		case s.FillsDone == 0 && len(s.Parts) == 0:
			return NotDispensed
		}
		return EndedEarly
	case Cancelled:
		return IsCancelled
	case Replaced:
		return IsReplaced
	case Expired:
		return IsExpired
	}
	return NotIssued
}

// waits is the word for a fill that nobody holds.
func (s State) waits() Business {
	switch {
	case s.RecordOnly:
		return NotSent
	case s.Pharmacy == "" && len(s.Declined) > 0:
		return ChooseAnother
	case s.Pharmacy == "":
		return ChoosePharmacy
	case len(s.Parts) > 0:
		return RemainderAvailable
	case s.FillsDone > 0:
		return NextFill
	}
	return SentToPharmacy
}

// waitsThere is the word for a fill that its holder said is ready, or handed over a part of.
func (s State) waitsThere() Business {
	switch s.Short {
	case ShortPart:
		return ReadyPartial
	case ShortAll:
		return PreparingRemainder
	}
	return ReadyToCollect
}
