/* main() for a fuzz target without libFuzzer: runs every file, or every file of a folder, named as an argument. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

static int run_file(const char* path) {
    FILE* file = fopen(path, "rb");
    long size;
    uint8_t* data;

    if (!file) return perror(path), 1;
    (void)fseek(file, 0, SEEK_END);
    size = ftell(file);
    rewind(file);
    data = malloc(size > 0 ? (size_t)size : 1);
    if (!data || fread(data, 1, (size_t)size, file) != (size_t)size) return perror(path), 1;
    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    return 0;
}

int main(int argc, char** argv) {
    int files = 0;
    for (int i = 1; i < argc; i++) {
        DIR* dir = opendir(argv[i]);
        struct dirent* entry;
        if (!dir) {
            struct stat st;
            if (stat(argv[i], &st) == 0) files++, run_file(argv[i]);
            continue;
        }
        while ((entry = readdir(dir))) {
            char path[4096];
            if (entry->d_name[0] == '.') continue;
            (void)snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            if (run_file(path)) return 1;
            files++;
        }
        (void)closedir(dir);
    }
    printf("%d files\n", files);
    return 0;
}
