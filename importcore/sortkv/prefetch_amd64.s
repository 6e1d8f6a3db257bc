#include "textflag.h"

// func prefetchPair(key, value *byte)
TEXT ·prefetchPair(SB), NOSPLIT, $0-16
	MOVQ key+0(FP), AX
	MOVQ value+8(FP), BX
	PREFETCHT0 64(AX)
	PREFETCHT0 (BX)
	PREFETCHT0 64(BX)
	PREFETCHT0 128(BX)
	RET
