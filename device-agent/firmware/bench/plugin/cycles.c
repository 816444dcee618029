/* A TCG plugin for QEMU: counts the instructions that the emulated Cortex-M0 executes, and the cycles that silicon would take for them.
 *
 * Cycles are those of the Cortex-M0 Technical Reference Manual (ARM DDI 0432C), table 3-1, with the single-cycle multiplier and flash
 * without wait states, as on an nRF51822 at 16 MHz. A conditional branch is charged as taken where the next block is not the one behind
 * it. The two counters stand in a file that whoever started QEMU reads while it runs.
 *
 * The declarations are those of qemu-plugin.h, interface version 1, which Debian does not package. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum callback_flags { NO_REGISTERS };

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), enum callback_flags, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

struct counters { uint64_t instructions, cycles; };
struct block { uint64_t start, instructions, cycles, behind_branch; };

static struct counters *counters;
static uint64_t behind_last_branch;

static uint64_t bits(unsigned word) { return (uint64_t)__builtin_popcount(word); }

/* Cycles of a 16-bit instruction; of a conditional branch, those it takes when it is not taken. */
static uint64_t cycles_of_short(unsigned code)
{
    if ((code & 0xFF00) == 0x4700) return 3;                              /* BX, BLX */
    if ((code & 0xFF87) == 0x4687 || (code & 0xFF87) == 0x4487) return 3; /* MOV PC, ADD PC */
    if ((code & 0xF800) == 0x4800) return 2;                              /* LDR (literal) */
    if (code >> 12 >= 5 && code >> 12 <= 9) return 2;                     /* loads and stores */
    if ((code & 0xFE00) == 0xB400) return 1 + bits(code & 0x1FF);         /* PUSH */
    if ((code & 0xFF00) == 0xBD00) return 4 + bits(code & 0xFF);          /* POP with PC */
    if ((code & 0xFF00) == 0xBC00) return 1 + bits(code & 0xFF);          /* POP */
    if (code >> 12 == 0xC) return 1 + bits(code & 0xFF);                  /* LDM, STM */
    if ((code & 0xF800) == 0xE000) return 3;                              /* B */
    if (code == 0xBF20 || code == 0xBF30) return 2;                       /* WFE, WFI */
    return 1;
}

static int is_conditional_branch(unsigned code) { return code >> 12 == 0xD && (code >> 8 & 0xF) < 0xE; }

static void executed(unsigned processor, void *data)
{
    const struct block *block = data;
    (void)processor;
    if (behind_last_branch && behind_last_branch != block->start) counters->cycles += 2;
    behind_last_branch = block->behind_branch;
    counters->instructions += block->instructions;
    counters->cycles += block->cycles;
}

static void translated(plugin_id id, struct qemu_plugin_tb *translation)
{
    size_t count = qemu_plugin_tb_n_insns(translation);
    struct block *block = calloc(1, sizeof *block);
    (void)id;
    if (!block) abort();
    for (size_t index = 0; index < count; index++) {
        const struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(translation, index);
        uint64_t address = qemu_plugin_insn_vaddr(instruction);
        uint16_t code = 0;
        memcpy(&code, qemu_plugin_insn_data(instruction), sizeof code);
        if (index == 0) block->start = address;
        block->instructions++;
        /* Of the 32-bit instructions, BL, MRS, MSR and the barriers, all take 4 cycles. */
        block->cycles += qemu_plugin_insn_size(instruction) == 4 ? 4 : cycles_of_short(code);
        block->behind_branch = is_conditional_branch(code) ? address + 2 : 0;
    }
    /* Blocks live as long as QEMU: a translation may be executed at any time. */
    qemu_plugin_register_vcpu_tb_exec_cb(translation, executed, NO_REGISTERS, block);
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    const char *prefix = "counters=";
    (void)info;
    if (argc != 1 || strncmp(argv[0], prefix, strlen(prefix)) != 0) return 1;
    int file = open(argv[0] + strlen(prefix), O_RDWR);
    if (file < 0) return 1;
    counters = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (counters == MAP_FAILED) return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
