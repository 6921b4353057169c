package server

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Kfake is franz-go's kfake as a server, for a process of its own: it writes every batch through to the disk below
// dir, prints its address, and runs until it is told to end.
func Kfake(dir string, out io.Writer) error {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.AllowAutoTopicCreation(), kfake.DefaultNumPartitions(1),
		kfake.DataDir(dir), kfake.SyncWrites())
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Fprintln(out, c.ListenAddrs()[0])
	end := make(chan os.Signal, 1)
	signal.Notify(end, os.Interrupt, syscall.SIGTERM)
	<-end
	return nil
}
