package streams

import "strings"

// Permissions are the subjects that a connection may publish to and subscribe to. Everything else is
// denied; nil allows nothing.
//
// A permission limits where a request goes, not where its answer goes: a stock server publishes the answer
// to whatever reply subject the request names, with rights of its own, and its JetStream API would obey it.
// So each organisation lives in an account of its own, into which the hub's account lends what is in
// Publish (see Services). An answer steered anywhere stays in that account, where nobody else listens.
type Permissions struct {
	Org       string // names the account; "" = connects to nothing
	Publish   []string
	Subscribe []string
}

// Service is a subject that the hub's account lends to the accounts of organisations.
type Service struct {
	Subject string
	Many    bool // one request has many answers
}

// Services are what PermissionsFor lets organisations publish to, for all of them.
func Services() []Service {
	var all []Service
	for _, subject := range PermissionsFor("*").Publish {
		if !strings.HasPrefix(subject, "$JS.API.") { // a token with a star in it is no wildcard
			subject = strings.ReplaceAll(subject, "."+ConsumerName("*"), ".*")
		} else {
			subject = strings.TrimSuffix(subject, ConsumerName("*")) + "*"
		}
		all = append(all, Service{Subject: subject, Many: strings.Contains(subject, ".MSG.NEXT.")})
	}
	return all
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
		Org: org,
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
