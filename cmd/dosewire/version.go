package main

import (
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is the module's, or the commit's when it was built from a checkout.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "devel-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return "devel"
}

func newVersion(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  dosewire version\n  dosewire version --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			about := map[string]string{"version": version(), "go": ""}
			if info, ok := debug.ReadBuildInfo(); ok {
				about["go"] = info.GoVersion
			}
			return g.print(cmd.OutOrStdout(), about, func(w io.Writer) { fmt.Fprintf(w, "dosewire %s (%s)\n", about["version"], about["go"]) })
		},
	}
}
