package kernel

import "fmt"

// GatherRows writes row index[i] of x, whose rows are n long, to row i of y.
func GatherRows(y, x []float32, index []int, n int) {
	need("GatherRows", "y", len(y), n*len(index))
	rows := checkRows("GatherRows", x, index, n)
	if rows == 0 {
		return
	}
	per, parts := cut(len(index), n)
	runPooled(&gatherTasks, parts, gatherTask{y: y, x: x, index: index, n: n, per: per})
}

// ScatterAddRows adds row i of x, whose rows are n long, to row index[i] of y.
// Rows that share an index are added in the order of i.
func ScatterAddRows(y, x []float32, index []int, n int) {
	need("ScatterAddRows", "x", len(x), n*len(index))
	rows := checkRows("ScatterAddRows", y, index, n)
	if rows == 0 {
		return
	}
	// Workers share columns, not rows, so no two write the same element.
	per, _ := cut(n, len(index))
	per = max(per, 16)
	parts := ceilDiv(n, per)
	runPooled(&gatherTasks, parts, gatherTask{y: y, x: x, index: index, n: n, per: per, add: true})
}

func checkRows(op string, table []float32, index []int, n int) int {
	if n < 1 {
		return 0
	}
	need(op, "the table", len(table), len(table)/n*n)
	rows := len(table) / n
	for i, r := range index {
		if r < 0 || r >= rows {
			panic(fmt.Sprintf("kernel: %s: index %d at %d is not one of %d rows", op, r, i, rows))
		}
	}
	return rows
}

type gatherTask struct {
	y, x   []float32
	index  []int
	n, per int
	add    bool
}

var gatherTasks freeList[gatherTask]

// Part gathers some rows, or scatters some columns of all rows.
func (t *gatherTask) Part(part int) {
	n := t.n
	lo := part * t.per
	if t.add {
		hi := min(lo+t.per, n)
		for i, r := range t.index {
			y := t.y[r*n+lo : r*n+hi]
			for j, v := range t.x[i*n+lo : i*n+hi] {
				y[j] += v
			}
		}
		return
	}
	for i, r := range t.index[lo:min(lo+t.per, len(t.index))] {
		i += lo
		copy(t.y[i*n:(i+1)*n], t.x[r*n:(r+1)*n])
	}
}
