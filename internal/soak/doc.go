// Package soak kills the program under load and checks from outside that nothing acknowledged was
// lost, and lets several recorders fight over one database. It holds tests only.
package soak
