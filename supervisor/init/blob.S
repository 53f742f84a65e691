/* berth-init as bytes inside berth: -DBLOB names the file. */
	.section .rodata
	.balign	16
	.globl	berth_init_start
	.globl	berth_init_end
berth_init_start:
	.incbin	BLOB
berth_init_end:
	.byte	0

	.section .note.GNU-stack, "", %progbits
