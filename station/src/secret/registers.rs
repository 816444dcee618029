//! Wipes what a computation left in the processor's vector registers: copying moves keys through them, and a thread that then sleeps
//! keeps them in its saved state, which is part of a core dump.
#![allow(unsafe_code)]

/// Zeroes every vector register of this thread.
#[cfg(target_arch = "x86_64")]
pub(super) fn wipe() {
    use std::arch::asm;
    if std::arch::is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has these registers, and the compiler is told that a call's registers are overwritten. Those above 15 it
        // uses only in code that was compiled for AVX-512, where `clobber_abi` covers them.
        unsafe {
            asm!(
                "vpxorq zmm16, zmm16, zmm16",
                "vpxorq zmm17, zmm17, zmm17",
                "vpxorq zmm18, zmm18, zmm18",
                "vpxorq zmm19, zmm19, zmm19",
                "vpxorq zmm20, zmm20, zmm20",
                "vpxorq zmm21, zmm21, zmm21",
                "vpxorq zmm22, zmm22, zmm22",
                "vpxorq zmm23, zmm23, zmm23",
                "vpxorq zmm24, zmm24, zmm24",
                "vpxorq zmm25, zmm25, zmm25",
                "vpxorq zmm26, zmm26, zmm26",
                "vpxorq zmm27, zmm27, zmm27",
                "vpxorq zmm28, zmm28, zmm28",
                "vpxorq zmm29, zmm29, zmm29",
                "vpxorq zmm30, zmm30, zmm30",
                "vpxorq zmm31, zmm31, zmm31",
                clobber_abi("sysv64"),
                options(nomem, nostack),
            );
        }
    }
    if std::arch::is_x86_feature_detected!("avx") {
        // SAFETY: the processor has the instruction; it zeroes the first sixteen registers whole, and a call may overwrite all of them.
        unsafe { asm!("vzeroall", clobber_abi("sysv64"), options(nomem, nostack)) };
    } else {
        // SAFETY: SSE2 is part of the architecture, and a call may overwrite these registers.
        unsafe {
            asm!(
                "pxor xmm0, xmm0",
                "pxor xmm1, xmm1",
                "pxor xmm2, xmm2",
                "pxor xmm3, xmm3",
                "pxor xmm4, xmm4",
                "pxor xmm5, xmm5",
                "pxor xmm6, xmm6",
                "pxor xmm7, xmm7",
                "pxor xmm8, xmm8",
                "pxor xmm9, xmm9",
                "pxor xmm10, xmm10",
                "pxor xmm11, xmm11",
                "pxor xmm12, xmm12",
                "pxor xmm13, xmm13",
                "pxor xmm14, xmm14",
                "pxor xmm15, xmm15",
                clobber_abi("sysv64"),
                options(nomem, nostack),
            );
        }
    }
}

/// On other architectures the registers keep what they hold until something else uses them: not done, and not tried.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn wipe() {}
