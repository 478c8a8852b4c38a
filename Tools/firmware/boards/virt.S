// First instructions, faults and the semihosting call of QEMU's `virt` machines.
  .section .vectors, "ax"
  .globl _start
  .globl board_semihosting

#ifdef __riscv
// One core runs; the floating-point unit stays off (mstatus.FS = 0), so using it is a fault.
_start:
  csrr t0, mhartid
  bnez t0, park
  la t0, board_trap
  csrw mtvec, t0
  .option push
  .option norelax
  la gp, __global_pointer$
  .option pop
  la sp, __stack_top
  j board_start
park:
  wfi
  j park
  .balign 4
board_trap:
  la sp, __stack_top
  j board_fault

// The three instructions must be uncompressed and in one page.
  .balign 16
board_semihosting:
  .option push
  .option norvc
  slli x0, x0, 0x1f
  ebreak
  srai x0, x0, 7
  .option pop
  ret

#else  // AArch64
_start:
  // Compilers copy memory through vector registers, so those are switched on.
  mov x0, #(3 << 20)
  msr cpacr_el1, x0
  adrp x0, board_traps
  add x0, x0, :lo12:board_traps
  msr vbar_el1, x0
  isb
  adrp x0, __stack_top
  add x0, x0, :lo12:__stack_top
  mov sp, x0
  b board_start
board_semihosting:
  hlt #0xf000
  ret
  .balign 2048
board_traps:
  .rept 16
  b board_trap
  .balign 128
  .endr
board_trap:
  adrp x0, __stack_top
  add x0, x0, :lo12:__stack_top
  mov sp, x0
  b board_fault
#endif
