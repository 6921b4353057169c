// Command accounts gives records another key: accounts come under their own number and go out under the
// number of the customer who holds them.
//
//	accounts (key: account) → select key → accounts-by-customer (key: customer)
//
// The key decides the partition. In the first topic the accounts of a customer are anywhere; in the second
// they are in one partition, in order, so that one reader sees all of them.
package main
