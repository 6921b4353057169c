// Groups measures consumer groups from outside, with franz-go, beside kfake in the same run: how long partitions
// have no owner after a member of a group has left, after one was expelled whose connections were cut, and until
// partitions that were just made are owned; and how many offsets a group commits in a second. Then what groups cost
// a member that do nothing.
//
// Members heartbeat every 100 ms and look for new partitions every 250 ms, so that the server and not the patience
// of the clients is seen. An expulsion is taken from the first description of the group that is not stable any more.
package main
