// Command millstream is the one binary: a member of a cluster, and the tools that talk to one. Everything it
// does lives in package cli; main only hands over the process's arguments and streams and takes the exit code
// back.
package main
