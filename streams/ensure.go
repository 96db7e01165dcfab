package streams

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Ensure makes the four streams, or brings existing ones to these settings, and reads everything back
// from the server. An existing RX_INTAKE keeps its first sequence and must be of s.Epoch (ErrEpoch).
// ErrSettings names every setting that differs, of all streams at once.
func Ensure(ctx context.Context, js jetstream.JetStream, s Settings) error {
	var wrong []error
	for _, want := range s.configs() {
		got, err := ensure(ctx, js, want)
		if err != nil {
			return err
		}
		for _, name := range differences(want, got) {
			wrong = append(wrong, fmt.Errorf("%s: %s", want.Name, name))
		}
	}
	if len(wrong) > 0 {
		return ErrSettings.Wrap(errors.Join(wrong...))
	}
	return nil
}

// ensure creates or updates one stream and returns its settings as the server holds them.
func ensure(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) (jetstream.StreamConfig, error) {
	stream, err := js.Stream(ctx, want.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		stream, err = js.CreateStream(ctx, want)
	case err == nil:
		have := stream.CachedInfo().Config
		if have.Metadata[metadataEpoch] != want.Metadata[metadataEpoch] {
			return have, fmt.Errorf("streams: ensure %s: %w", want.Name, ErrEpoch)
		}
		// The first sequence is a fact of the stream's birth. The one asked for is for a new stream.
		want.FirstSeq = have.FirstSeq
		stream, err = js.UpdateStream(ctx, want)
	}
	if err != nil {
		return jetstream.StreamConfig{}, wrap(err, "ensure %s", want.Name)
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return jetstream.StreamConfig{}, wrap(err, "read back %s", want.Name)
	}
	return info.Config, nil
}

// differences names the settings in which got is not want, sorted. FirstSeq is left out, and of the
// metadata only what was asked for counts: the server adds its own.
func differences(want, got jetstream.StreamConfig) []string {
	want.FirstSeq, got.FirstSeq = 0, 0
	w, g := settingsOf(want), settingsOf(got)
	var names []string
	for _, name := range slices.Sorted(maps.Keys(w)) {
		if !reflect.DeepEqual(w[name], g[name]) {
			names = append(names, fmt.Sprintf("%s is %v, not %v", name, g[name], w[name]))
		}
	}
	return names
}

// settingsOf is a stream configuration by field name, nil and empty made equal. Fields that a later
// client library adds are compared too.
func settingsOf(c jetstream.StreamConfig) map[string]any {
	meta := c.Metadata
	c.Metadata = nil
	out := map[string]any{"Metadata." + metadataEpoch: meta[metadataEpoch]}
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		name, f := v.Type().Field(i).Name, v.Field(i)
		switch {
		case (f.Kind() == reflect.Slice || f.Kind() == reflect.Pointer) && f.IsZero():
			out[name] = nil
		case f.Kind() == reflect.Slice && f.Len() == 0:
			out[name] = nil
		case name == "Subjects":
			subjects := slices.Clone(c.Subjects)
			slices.Sort(subjects)
			out[name] = strings.Join(subjects, " ")
		default:
			out[name] = f.Interface()
		}
	}
	return out
}
