// Command fraud finds cards with more than three attempts to pay within five minutes. The attempts are
// generated; no real card was ever seen here.
//
//	authorization-attempts → key: card → count in windows of 5 minutes → more than 3? → possible-fraud
//	                                         └ late → printed
//
// In SQL: SELECT card_number, count(*) FROM authorization_attempts WINDOW TUMBLING (SIZE 5 MINUTE)
// GROUP BY card_number HAVING count(*) > 3.
package main
