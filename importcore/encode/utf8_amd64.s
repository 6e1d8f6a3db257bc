#include "textflag.h"

// Kinds of errors that two neighbouring bytes can make, as bits: 01 a
// character is too short, 02 it has a continuation too many, 04 and 20 and 40
// it is written too long (3, 2, 4 bytes), 08 and 40 it is above U+10FFFF, 10 it
// is a surrogate, 80 two continuations, which may be right behind a longer
// start. A table says which of them a nibble allows; what all three allow, is.

// By the high nibble of the first byte.
DATA first<>+0(SB)/8, $0x0202020202020202
DATA first<>+8(SB)/8, $0x4915012180808080
GLOBL first<>(SB), RODATA|NOPTR, $16

// By the low nibble of the first byte.
DATA low<>+0(SB)/8, $0xCBCBCB8B8383A3E7
DATA low<>+8(SB)/8, $0xCBCBDBCBCBCBCBCB
GLOBL low<>(SB), RODATA|NOPTR, $16

// By the high nibble of the second byte.
DATA second<>+0(SB)/8, $0x0101010101010101
DATA second<>+8(SB)/8, $0x01010101BABAAEE6
GLOBL second<>(SB), RODATA|NOPTR, $16

DATA nibble<>+0(SB)/8, $0x0F0F0F0F0F0F0F0F
GLOBL nibble<>(SB), RODATA|NOPTR, $8
DATA three<>+0(SB)/8, $0x6060606060606060 // 0xE0 - 0x80
GLOBL three<>(SB), RODATA|NOPTR, $8
DATA four<>+0(SB)/8, $0x7070707070707070 // 0xF0 - 0x80
GLOBL four<>(SB), RODATA|NOPTR, $8
DATA high<>+0(SB)/8, $0x8080808080808080
GLOBL high<>(SB), RODATA|NOPTR, $8

// func validAVX2(data *byte, blocks int, tail *[32]byte) bool
//
// Y7 gathers errors, Y8 is the block before, Y9 the present one.
TEXT ·validAVX2(SB), NOSPLIT, $0-25
	MOVQ data+0(FP), SI
	MOVQ blocks+8(FP), CX
	MOVQ tail+16(FP), DX
	VBROADCASTI128 first<>(SB), Y0
	VBROADCASTI128 low<>(SB), Y1
	VBROADCASTI128 second<>(SB), Y2
	VPBROADCASTQ nibble<>(SB), Y3
	VPBROADCASTQ three<>(SB), Y4
	VPBROADCASTQ four<>(SB), Y5
	VPBROADCASTQ high<>(SB), Y6
	VPXOR Y7, Y7, Y7
	VPXOR Y8, Y8, Y8
	TESTQ CX, CX
	JZ last

next:
	VMOVDQU (SI), Y9
	ADDQ $32, SI

check:
	// Y11: the bytes one place before.
	VPERM2I128 $0x21, Y9, Y8, Y10
	VPALIGNR $15, Y10, Y9, Y11
	VPSRLW $4, Y11, Y12
	VPAND Y3, Y12, Y12
	VPSHUFB Y12, Y0, Y12
	VPAND Y3, Y11, Y13
	VPSHUFB Y13, Y1, Y13
	VPSRLW $4, Y9, Y14
	VPAND Y3, Y14, Y14
	VPSHUFB Y14, Y2, Y14
	VPAND Y12, Y13, Y13
	VPAND Y13, Y14, Y14

	// Two continuations have to be where a start of three bytes is two places
	// before or one of four is three places before, and only there.
	VPALIGNR $14, Y10, Y9, Y11
	VPSUBUSB Y4, Y11, Y11
	VPALIGNR $13, Y10, Y9, Y12
	VPSUBUSB Y5, Y12, Y12
	VPOR Y11, Y12, Y11
	VPAND Y6, Y11, Y11
	VPXOR Y14, Y11, Y11
	VPOR Y11, Y7, Y7
	VMOVDQA Y9, Y8

	SUBQ $1, CX
	JG next
	JL done

last:
	// The tail ends with a zero byte, which shows characters cut off.
	XORQ CX, CX
	VMOVDQU (DX), Y9
	JMP check

done:
	VPTEST Y7, Y7
	SETEQ ret+24(FP)
	VZEROUPPER
	RET
