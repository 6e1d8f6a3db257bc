#include "textflag.h"

// func markAVX2(data *byte, words int, all, quotes *uint64, m *markers)
//
// Y0..Y4 hold the markers: separator, line end, second line end, quote,
// escape byte. Per 64 bytes: R8 and R10 are the halves of the word of quotes
// and escape bytes, R9 and R11 those of all.
TEXT ·markAVX2(SB), NOSPLIT, $0-40
	MOVQ data+0(FP), SI
	MOVQ words+8(FP), CX
	MOVQ all+16(FP), DI
	MOVQ quotes+24(FP), DX
	MOVQ m+32(FP), BX
	VPBROADCASTB 0(BX), Y0
	VPBROADCASTB 1(BX), Y1
	VPBROADCASTB 2(BX), Y2
	VPBROADCASTB 3(BX), Y3
	VPBROADCASTB 4(BX), Y4

loop:
	VMOVDQU 0(SI), Y5
	VMOVDQU 32(SI), Y6

	VPCMPEQB Y5, Y3, Y7
	VPCMPEQB Y5, Y4, Y8
	VPOR Y7, Y8, Y7
	VPCMPEQB Y5, Y0, Y8
	VPCMPEQB Y5, Y1, Y9
	VPCMPEQB Y5, Y2, Y10
	VPOR Y8, Y9, Y8
	VPOR Y7, Y10, Y10
	VPOR Y8, Y10, Y8
	VPMOVMSKB Y7, R8
	VPMOVMSKB Y8, R9

	VPCMPEQB Y6, Y3, Y11
	VPCMPEQB Y6, Y4, Y12
	VPOR Y11, Y12, Y11
	VPCMPEQB Y6, Y0, Y12
	VPCMPEQB Y6, Y1, Y13
	VPCMPEQB Y6, Y2, Y14
	VPOR Y12, Y13, Y12
	VPOR Y11, Y14, Y14
	VPOR Y12, Y14, Y12
	VPMOVMSKB Y11, R10
	VPMOVMSKB Y12, R11

	SHLQ $32, R10
	ORQ R8, R10
	MOVQ R10, (DX)
	SHLQ $32, R11
	ORQ R9, R11
	MOVQ R11, (DI)

	ADDQ $64, SI
	ADDQ $8, DI
	ADDQ $8, DX
	DECQ CX
	JNZ loop

	VZEROUPPER
	RET
