package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	urfave "github.com/urfave/cli/v2"
)

// release is the version of this tree.
const release = "0.1.0-dev"

func (s *shell) versionCommand() *urfave.Command {
	return &urfave.Command{
		Name: "version", Usage: "print the version, the commit and the Go version of this binary",
		Action: func(c *urfave.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			fmt.Fprintf(s.Stdout, "millstream %s%s, %s %s/%s\n", release, commit(), runtime.Version(),
				runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}

// commit returns what the Go tool has noted about the source, " (abcdef012345)" or nothing.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	revision, changed := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = ", changed"
		}
	}
	if revision == "" {
		return ""
	}
	return " (" + revision + changed + ")"
}
