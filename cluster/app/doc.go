// Package app has what is told of applications, that is of topologies that run on a member: the same words from the
// embedding program, over gRPC and HTTP, and on the command line. It owns types alone; their JSON keys are stable.
package app
