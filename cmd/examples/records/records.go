package records

import (
	_ "embed" // the data
	"encoding/csv"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"
)

//go:embed flights.csv
var flights string

//go:embed airports.csv
var airports string

//go:embed earthquakes.csv
var earthquakes string

// Flight is one flight. Origin and Destination are codes of airports.
type Flight struct {
	Scheduled   time.Time // as the airport's own clock shows it, noted as if that were UTC
	Delay       int       // minutes; negative: early
	Distance    int       // miles
	Origin      string
	Destination string
}

// Airport is one airport; Code is the key that flights name.
type Airport struct {
	Code  string
	Name  string
	City  string
	State string // two letters
}

// Earthquake is the newest report of one earthquake.
type Earthquake struct {
	Time      time.Time // when the ground shook
	Updated   time.Time // when the report was last changed
	Magnitude float64
	Network   string // who reported it, such as ak for Alaska
	Place     string
}

// Flights yields 20,000 flights of the first three months of 2001, in the order of their scheduled
// times and delays taken together.
func Flights() iter.Seq[Flight] {
	return rows(flights, func(c []string) Flight {
		return Flight{day(c[0]), number(c[1]), number(c[2]), c[3], c[4]}
	})
}

// Airports yields the airports that Flights names, in the order of their codes.
func Airports() iter.Seq[Airport] {
	return rows(airports, func(c []string) Airport { return Airport{c[0], c[1], c[2], c[3]} })
}

// Earthquakes yields 1,679 earthquakes of a week in 2018, in the order of Updated.
func Earthquakes() iter.Seq[Earthquake] {
	return rows(earthquakes, func(c []string) Earthquake {
		magnitude, err := strconv.ParseFloat(c[2], 64)
		check(err)
		return Earthquake{millis(c[1]), millis(c[0]), magnitude, c[3], c[4]}
	})
}

// rows yields the lines of a file behind its heading.
func rows[T any](file string, parse func(columns []string) T) iter.Seq[T] {
	return func(yield func(T) bool) {
		r := csv.NewReader(strings.NewReader(file))
		r.ReuseRecord = true
		_, err := r.Read()
		for check(err); ; {
			columns, err := r.Read()
			if err == io.EOF {
				return
			}
			if check(err); !yield(parse(columns)) {
				return
			}
		}
	}
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	check(err)
	return n
}

func millis(s string) time.Time { return time.UnixMilli(int64(number(s))).UTC() }

func day(s string) time.Time {
	t, err := time.Parse("2006/01/02 15:04", s)
	check(err)
	return t
}

// check holds the invariant that the files, which are part of the program, can be read.
func check(err error) { must(err == nil, "%v", err) }
