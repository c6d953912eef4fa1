// Package mettle is the front door of a library that measures and improves
// how visual classifiers behave under strain. It holds no code; the packages
// below it do the work.
package mettle
