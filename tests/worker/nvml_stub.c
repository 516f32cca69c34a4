/* A libnvidia-ml.so.1 with as many GPUs as NVML_STUB_GPUS says. NVML_STUB_FAIL names a function that answers an error,
   NVML_STUB_HANG one that sleeps for 30 s. NVML_STUB_PROCESSES is how many compute on the first GPU: this one, and made
   up ones, the last of which tells no memory. Built with -DNO_POWER it lacks nvmlDeviceGetPowerUsage, as old drivers do. */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef int ret;
typedef unsigned long device;
typedef struct { unsigned long long total, free, used; } memory;
typedef struct { unsigned gpu, memory; } utilization;
typedef struct { unsigned pid; unsigned long long memory; unsigned gpu_instance, compute_instance; } process;

static int named(const char *variable, const char *function) {
    const char *value = getenv(variable);
    return value && !strcmp(value, function);
}

static ret judged(const char *function) {
    const char *file = getenv("NVML_STUB_HANG_FILE");
    if (named("NVML_STUB_HANG", function) && (!file || !access(file, F_OK))) sleep(30);
    return named("NVML_STUB_FAIL", function) ? 999 : 0;
}

#define JUDGE { ret r = judged(__func__); if (r) return r; }

static unsigned count(void) {
    const char *value = getenv("NVML_STUB_GPUS");
    return value ? (unsigned)atoi(value) : 0;
}

ret nvmlInitWithFlags(unsigned flags) { (void)flags; JUDGE return 0; }
ret nvmlInit_v2(void) { JUDGE return 0; }
ret nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(ret r) { (void)r; return "stub error"; }
ret nvmlDeviceGetCount_v2(unsigned *n) { JUDGE *n = count(); return 0; }
ret nvmlDeviceGetHandleByIndex_v2(unsigned i, device *d) { JUDGE *d = i + 1; return i < count() ? 0 : 2; }
ret nvmlDeviceGetName(device d, char *name, unsigned n) { JUDGE snprintf(name, n, "Stub %lu", d - 1); return 0; }
ret nvmlDeviceGetUUID(device d, char *uuid, unsigned n) { JUDGE snprintf(uuid, n, "GPU-%lu", d - 1); return 0; }
ret nvmlDeviceGetMemoryInfo(device d, memory *m) {
    JUDGE
    m->total = 16384ull << 20; m->used = (d * 1024ull) << 20; m->free = m->total - m->used;
    return 0;
}
ret nvmlDeviceGetUtilizationRates(device d, utilization *u) { JUDGE u->gpu = 10 * (unsigned)d; u->memory = 1; return 0; }
#ifndef NO_POWER
ret nvmlDeviceGetPowerUsage(device d, unsigned *mw) { (void)d; JUDGE *mw = 123456; return 0; }
#endif
ret nvmlDeviceGetEnforcedPowerLimit(device d, unsigned *mw) { (void)d; JUDGE *mw = 300000; return 0; }
ret nvmlDeviceGetTemperature(device d, unsigned sensor, unsigned *c) { (void)d; (void)sensor; JUDGE *c = 61; return 0; }
ret nvmlDeviceGetComputeRunningProcesses_v3(device d, unsigned *n, process *found) {
    const char *value = getenv("NVML_STUB_PROCESSES");
    unsigned all = value && d == 1 ? (unsigned)atoi(value) : 0, room = *n;
    JUDGE
    *n = all;
    if (room < all) return 7;
    for (unsigned i = 0; i < all; i++) {
        found[i].pid = i ? 4000000 + i : (unsigned)getpid();
        found[i].memory = i && i + 1 == all ? ~0ull : (i + 1) * (512ull << 20);
    }
    return 0;
}
