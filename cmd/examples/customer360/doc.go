// Command customer360 keeps one row for each customer with all that is known: the profile, what was ordered,
// and the open tickets. The program then looks customers up in that table, by key, while the topology runs.
//
//	profiles ─ table ──────────────────┐
//	orders ─ key: customer ─ aggregate ─┼ left joins → customers-360, and a store to look into
//	tickets ─ table ─ group: customer ──┘
//
// A change on any side makes a new row. Closing a ticket is a record without a value: the row loses it.
package main
