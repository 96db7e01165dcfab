package streams

import (
	"cmp"
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
		want, got, err := ensure(ctx, js, want)
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

// ensure creates or updates one stream. It returns its settings as they should be, completed by what
// was decided when it was made, and as the server holds them.
func ensure(ctx context.Context, js jetstream.JetStream, config jetstream.StreamConfig) (want, got jetstream.StreamConfig, err error) {
	want = config
	stream, err := js.Stream(ctx, want.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		want = completed(want, newEntrance(), want.FirstSeq)
		stream, err = js.CreateStream(ctx, want)
	case err == nil:
		have := stream.CachedInfo().Config
		if have.Metadata[metadataEpoch] != want.Metadata[metadataEpoch] {
			return want, have, fmt.Errorf("streams: ensure %s: %w", want.Name, ErrEpoch)
		}
		want = completed(want, cmp.Or(entranceOf(have), newEntrance()), have.FirstSeq)
		// An update rewrites the stream's settings on disk, a moment in which a crash would hurt: only
		// when there is something to change.
		if len(differences(want, have)) > 0 {
			stream, err = js.UpdateStream(ctx, want)
		}
	}
	if err != nil {
		return want, got, wrap(err, "ensure %s", want.Name)
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return want, got, wrap(err, "read back %s", want.Name)
	}
	return want, info.Config, nil
}

// completed adds what belongs to one stream for its life: where it listens and where it began. The
// first sequence asked for in Settings is for a new stream only.
func completed(c jetstream.StreamConfig, entrance string, first uint64) jetstream.StreamConfig {
	c.FirstSeq = first
	if c.Name == Delivery || c.Name == Push {
		c = behindEntrance(c, entrance)
	}
	return c
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
