// Package testdata embeds the prescriptions that the demo sends and tests read. All of them, and the
// people in them, are invented.
package testdata

import "embed"

// Demo holds demo/*.json: received bytes, to be sent as they are.
//
//go:embed demo/*.json
var Demo embed.FS
