// Command wordcount counts the words of a book and keeps the counts up to date in a topic.
//
//	lines → split into words → key: word → repartition → count → word-counts
//
// Every line changes the counts of its words, and each new count is a record. Whoever reads the topic from
// its start and keeps the newest record of each word has the table.
package main
