package streams

// Permissions are the subjects that a connection may publish to and subscribe to. Everything else is
// denied; nil allows nothing.
type Permissions struct {
	Publish   []string
	Subscribe []string
}

// InboxPrefix is what an organisation's clients must set as their custom inbox prefix: the only
// subjects on which they may listen.
func InboxPrefix(org string) string { return "_INBOX_" + org }

// PermissionsFor is what the clients of an organisation may do: publish their three messages, look at
// their own consumer, pull from it, acknowledge. It is the one policy, for the embedded server and for
// the auth callout of an external one. org must be a single subject token.
func PermissionsFor(org string) Permissions {
	own := Delivery + "." + ConsumerName(org)
	return Permissions{
		Publish: []string{
			IntakeSubject(org, TypeMedicationRequest),
			IntakeSubject(org, TypeMedicationDispense),
			IntakeSubject(org, TypeBundle),
			"$JS.API.CONSUMER.INFO." + own,
			"$JS.API.CONSUMER.MSG.NEXT." + own,
			// Acks, as of today and with domain and account in front (nats-server's js_ack_fc_v2).
			"$JS.ACK." + own + ".>",
			"$JS.ACK.*.*." + own + ".>",
		},
		Subscribe: []string{InboxPrefix(org) + ".>"},
	}
}
