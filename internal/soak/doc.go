// Package soak kills the program under load and checks from outside that nothing acknowledged was
// lost. It holds tests only.
package soak
