package main

import (
	"os"

	"github.com/millstream-io/millstream/cmd/millstream/cli"
)

func main() {
	os.Exit(cli.Main(cli.Process{
		Args: os.Args, Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}))
}
