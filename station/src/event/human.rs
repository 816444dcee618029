//! Events for people: bars on a terminal while units run, plain lines otherwise, tables for answers.
