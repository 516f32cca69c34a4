/* A libnvidia-ml.so.1 with as many GPUs as NVML_STUB_GPUS says. NVML_STUB_FAIL names a function that answers an error
   (NVML_STUB_ERROR, or 999), NVML_STUB_HANG one that sleeps for 30 s. NVML_STUB_PROCESSES is how many compute on the first GPU: this one, and made
   up ones, the last of which tells no memory. Built with -DNO_POWER it lacks nvmlDeviceGetPowerUsage, as old drivers do.

   NVML_STUB_TABLE names a file with a line `gpu pid MiB` for each process, read at each call, whose memory is in use in
   addition; a pid of 0 is memory of no process.

   What the GPUs are like: NVML_STUB_NAME, NVML_STUB_TOTAL and NVML_STUB_LIMIT (MiB, W) for all; NVML_STUB_LOAD,
   NVML_STUB_MEMORY, NVML_STUB_HEAT and NVML_STUB_POWER (percent, MiB, degrees, W) with a value for each, `97,3`. A load
   may be several, `40 80 97,3`: each for 15 s, the last for good. */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
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

static unsigned number(const char *variable, unsigned otherwise) {
    const char *value = getenv(variable);
    return value ? (unsigned)atoi(value) : otherwise;
}

static ret judged(const char *function) {
    const char *file = getenv("NVML_STUB_HANG_FILE");
    if (named("NVML_STUB_HANG", function) && (!file || !access(file, F_OK))) sleep(30);
    return named("NVML_STUB_FAIL", function) ? (ret)number("NVML_STUB_ERROR", 999) : 0;
}

#define JUDGE { ret r = judged(__func__); if (r) return r; }

static unsigned count(void) {
    const char *value = getenv("NVML_STUB_GPUS");
    return value ? (unsigned)atoi(value) : 0;
}

static const char *of_device(const char *variable, device d) {
    const char *value = getenv(variable);
    while (value && --d) value = (value = strchr(value, ',')) ? value + 1 : NULL;
    return value;
}

static unsigned reading(const char *variable, device d, unsigned otherwise) {
    const char *value = of_device(variable, d);
    return value ? (unsigned)atoi(value) : otherwise;
}

static unsigned load(device d) {
    static time_t began;
    const char *value = of_device("NVML_STUB_LOAD", d);
    if (!value) return 10 * (unsigned)d;
    if (!began) began = time(NULL);
    for (long steps = (time(NULL) - began) / 15; steps > 0; steps--) {
        const char *next = value + strcspn(value, " ,");
        if (*next != ' ') break;
        value = next + 1;
    }
    return (unsigned)atoi(value);
}

/* The processes of the table on a GPU, as many as there is room for; their number, and all their MiB in `mib`. */
static unsigned tabled(device d, unsigned room, process *found, unsigned long long *mib) {
    const char *path = getenv("NVML_STUB_TABLE");
    FILE *file = path ? fopen(path, "r") : NULL;
    unsigned gpu, pid, size, n = 0;
    *mib = 0;
    while (file && fscanf(file, "%u %u %u", &gpu, &pid, &size) == 3) {
        if (gpu != d - 1) continue;
        *mib += size;
        if (!pid) continue;
        if (n < room) found[n] = (process){.pid = pid, .memory = (unsigned long long)size << 20};
        n++;
    }
    if (file) fclose(file);
    return n;
}

ret nvmlInitWithFlags(unsigned flags) { (void)flags; JUDGE return 0; }
ret nvmlInit_v2(void) { JUDGE return 0; }
ret nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(ret r) { (void)r; return "stub error"; }
ret nvmlDeviceGetCount_v2(unsigned *n) { JUDGE *n = count(); return 0; }
ret nvmlDeviceGetHandleByIndex_v2(unsigned i, device *d) { JUDGE *d = i + 1; return i < count() ? 0 : 2; }
ret nvmlDeviceGetName(device d, char *name, unsigned n) {
    const char *value = getenv("NVML_STUB_NAME");
    JUDGE
    value ? snprintf(name, n, "%s", value) : snprintf(name, n, "Stub %lu", d - 1);
    return 0;
}
ret nvmlDeviceGetUUID(device d, char *uuid, unsigned n) { JUDGE snprintf(uuid, n, "GPU-%lu", d - 1); return 0; }
ret nvmlDeviceGetMemoryInfo(device d, memory *m) {
    unsigned long long more;
    JUDGE
    tabled(d, 0, NULL, &more);
    m->total = (unsigned long long)number("NVML_STUB_TOTAL", 16384) << 20;
    m->used = (reading("NVML_STUB_MEMORY", d, 1024 * (unsigned)d) + more) << 20;
    m->free = m->total - m->used;
    return 0;
}
ret nvmlDeviceGetUtilizationRates(device d, utilization *u) { JUDGE u->gpu = load(d); u->memory = 1; return 0; }
#ifndef NO_POWER
ret nvmlDeviceGetPowerUsage(device d, unsigned *mw) {
    JUDGE
    *mw = getenv("NVML_STUB_POWER") ? 1000 * reading("NVML_STUB_POWER", d, 0) : 123456;
    return 0;
}
#endif
ret nvmlDeviceGetEnforcedPowerLimit(device d, unsigned *mw) {
    (void)d;
    JUDGE
    *mw = 1000 * number("NVML_STUB_LIMIT", 300);
    return 0;
}
ret nvmlDeviceGetTemperature(device d, unsigned sensor, unsigned *c) {
    (void)sensor;
    JUDGE
    *c = reading("NVML_STUB_HEAT", d, 61);
    return 0;
}
ret nvmlDeviceGetTemperatureThreshold(device d, unsigned threshold, unsigned *c) {
    (void)d;
    JUDGE
    *c = threshold == 1 ? 90 : 95;
    return 0;
}
ret nvmlDeviceGetComputeRunningProcesses_v3(device d, unsigned *n, process *found) {
    const char *value = getenv("NVML_STUB_PROCESSES");
    unsigned all = value && d == 1 ? (unsigned)atoi(value) : 0, room = *n;
    unsigned long long mib;
    JUDGE
    if (getenv("NVML_STUB_TABLE")) {
        *n = tabled(d, room, found, &mib);
        return room < *n ? 7 : 0;
    }
    *n = all;
    if (room < all) return 7;
    for (unsigned i = 0; i < all; i++) {
        found[i].pid = i ? 4000000 + i : (unsigned)getpid();
        found[i].memory = i && i + 1 == all ? ~0ull : (i + 1) * (512ull << 20);
    }
    return 0;
}
