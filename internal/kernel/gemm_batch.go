package kernel

import "github.com/mettleml/mettle/internal/parallel"

// A batchTask does the products of a batch, some items to a part.
type batchTask struct {
	args         gemmArgs
	count, parts int
	strideA      int
}

var batchTasks freeList[batchTask]

// Part does the items of part i.
func (t *batchTask) Part(i int) {
	for q := cutAt(t.count, t.parts, i); q < cutAt(t.count, t.parts, i+1); q++ {
		args := t.args
		args.c = from(args.c, q*args.strideC)
		args.a = from(args.a, q*t.strideA)
		args.b = from(args.b, q*args.strideB)
		gemm(args)
	}
}

// gemmBatch does count products: as one if they share A, else several at a time if
// they are small, and one after the other, each by all workers, if not.
func gemmBatch(count int, args gemmArgs, strideA int) {
	if strideA == 0 {
		args.items = count
		gemm(args)
		return
	}
	t := batchTasks.get()
	*t = batchTask{args, count, 1, strideA}
	flops := args.m * args.n * max(args.k, 1)
	if flops <= batchFlops {
		t.parts = min(count, max(1, count*flops/partFlops), maxParts)
		parallel.Run(t.parts, t)
	} else {
		t.Part(0)
	}
	*t = batchTask{}
	batchTasks.put(t)
}
