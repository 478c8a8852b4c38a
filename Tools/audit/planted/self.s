// What Swift 6.3.1's compiler makes of loads through `self` (r10) on Cortex-M4: the audit must find it.
  .syntax unified
  .thumb
  .section .text.planted, "ax"
  .globl planted
  .thumb_func
planted:
  push.w {r4, r7, r8, lr}
  ldm.w r10!, {r1, r2, r7}
  adds r0, r1, r2
  pop.w {r4, r7, r8, pc}
