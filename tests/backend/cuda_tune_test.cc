// Choosing ways by timing, and the plan cache: every way is right, so a cache of any contents changes times and nothing else.
#include "tests/backend/cuda_tuned.h"

using cuda_host::Environment;
using cuda_host::held;
using cuda_host::inject;
using namespace cuda_tuned;

TEST(HostTune, TimesOnceAndRemembers) {
    Folder folder;
    Tuned guess("", CORNU_TUNE_OFF), first(folder.path.c_str()), second(folder.path.c_str());
    ASSERT_EQ(first.status, CORNU_OK) << cornu_last_error();
    ASSERT_GT(first.rows.size(), 0u) << "the model has no layer with several ways";
    EXPECT_EQ(first.timed(), (int)first.rows.size());
    EXPECT_EQ(first.known(), 0);
    EXPECT_EQ(first.note, "");
    EXPECT_EQ(second.known(), (int)second.rows.size());
    EXPECT_EQ(second.timed(), 0);
    for (const auto& row : first.rows) {
        EXPECT_GE(row.ways, 2);
        EXPECT_STRNE(row.name, "");
        EXPECT_GE(row.steps, 1);
        EXPECT_LE(row.best_ms, row.guess_ms);
        if (row.way > 0) { EXPECT_LE(row.best_ms, 0.98 * row.guess_ms) << row.problem; }
    }
    EXPECT_EQ(first.y, second.y) << "the same ways";
    expect_close(first.y, guess.y);
    EXPECT_EQ(guess.known() + guess.timed(), 0);
    first.run(40); // other shapes are other problems; they join the file
    EXPECT_GT(first.timed(), 0);
    Tuned third(folder.path.c_str());
    EXPECT_EQ(third.known(), (int)third.rows.size());
    third.run(40);
    EXPECT_EQ(third.known(), (int)third.rows.size());
}

TEST(HostTune, DeterministicSessionsNeitherReadNorWrite) {
    Folder folder;
    Tuned off("", CORNU_TUNE_OFF), a(folder.path.c_str(), CORNU_TUNE_FULL, 1);
    EXPECT_EQ(folder.file(), "");
    EXPECT_EQ(a.timed(), 0);
    EXPECT_EQ(a.y, off.y);
    Tuned tuned(folder.path.c_str());
    std::string text = read_file(folder.file());
    Tuned b(folder.path.c_str(), CORNU_TUNE_FULL, 1);
    EXPECT_EQ(b.known(), 0);
    EXPECT_EQ(b.y, off.y);
    EXPECT_EQ(read_file(folder.file()), text);
}

TEST(HostTune, SecondsEndIt) {
    Folder folder;
    Tuned t(folder.path.c_str(), CORNU_TUNE_FULL, 0, 1e-9);
    EXPECT_EQ(t.status, CORNU_OK) << cornu_last_error();
    EXPECT_EQ(t.timed(), 0);
    for (const auto& row : t.rows) EXPECT_EQ(row.way, 0);
}

TEST(HostTune, AnyContentsOfTheCacheAreHarmless) {
    Folder folder;
    Tuned first(folder.path.c_str());
    const std::string path = folder.file(), good = read_file(path);
    ASSERT_NE(path, "");
    const size_t head = lines_at(good);
    std::vector<std::string> texts = {"", "\n", "cornu plan 1\n", "cornu plan 2\n" + good.substr(good.find('\n') + 1), good.substr(0, head), good.substr(0, good.size() / 2),
                                      std::string(100000, '\0'), std::string(100000, 'x'), good.substr(0, head) + std::string(300000, '9') + "\n" + good.substr(head),
                                      good.substr(0, head) + "0123456789abcdef -1 99999999999 -5 nan x\n", good + good};
    for (size_t i = 0; i < good.size(); i += 23) { // a damaged byte anywhere
        texts.push_back(good);
        texts.back()[i] ^= 0x15;
    }
    for (const std::string& text : texts) {
        write_file(path, text);
        Tuned t(folder.path.c_str(), CORNU_TUNE_FULL, 0, 1e-9);
        ASSERT_EQ(t.status, CORNU_OK) << cornu_last_error();
        expect_close(t.y, first.y);
        for (const auto& row : t.rows) ASSERT_TRUE(row.way >= 0 && row.way < row.ways);
    }
    write_file(path, texts[6]);
    Tuned again(folder.path.c_str()); // and it is mended
    EXPECT_EQ(again.timed(), (int)again.rows.size());
    Tuned known(folder.path.c_str());
    EXPECT_EQ(known.known(), (int)known.rows.size());
}

TEST(HostTune, EveryWayThatAFileCanNameIsRight) {
    Folder folder;
    Tuned first(folder.path.c_str());
    const std::string path = folder.file(), good = read_file(path);
    const size_t head = lines_at(good);
    for (const auto& row : first.rows) {
        for (int way = -1; way <= row.ways; way++) {
            write_file(path, good.substr(0, head) + plan_line(way, row.ways, row.problem));
            Tuned t(folder.path.c_str(), CORNU_TUNE_FULL, 0, 1e-9);
            ASSERT_EQ(t.status, CORNU_OK) << cornu_last_error();
            expect_close(t.y, first.y);
            for (const auto& r : t.rows) {
                if (std::string(r.problem) == row.problem) { EXPECT_EQ(r.known, way >= 0 && way < row.ways) << way; }
            }
        }
    }
}

TEST(HostTune, FoldersThatCannotBeUsed) {
    Folder folder;
    const std::string file = folder.path + "/file", fifo = folder.path + "/f";
    write_file(file, "no folder");
    Tuned reference("", CORNU_TUNE_OFF);
    for (const std::string& path : {file, file + "/below", std::string("/proc/nothing/here"), std::string("/dev/null")}) {
        Tuned t(path.c_str());
        ASSERT_EQ(t.status, CORNU_OK) << cornu_last_error();
        EXPECT_NE(t.note, "") << path;
        expect_close(t.y, reference.y);
    }
    Tuned first(folder.path.c_str());
    const std::string plan = folder.file();
    ASSERT_EQ(unlink(plan.c_str()), 0);
    ASSERT_EQ(mkfifo(plan.c_str(), 0600), 0); // reading must not wait for a writer
    Tuned t(folder.path.c_str());
    EXPECT_EQ(t.status, CORNU_OK);
    expect_close(t.y, reference.y);
    ASSERT_EQ(unlink(plan.c_str()), 0);
    ASSERT_EQ(symlink("/dev/zero", plan.c_str()), 0);
    Tuned u(folder.path.c_str());
    EXPECT_EQ(u.status, CORNU_OK);
    expect_close(u.y, reference.y);
}

TEST(HostTune, TheEnvironmentNamesTheFolder) {
    Folder folder, cache;
    {
        Environment e("CORNU_PLAN_CACHE", folder.path.c_str());
        Tuned t(nullptr);
        EXPECT_NE(folder.file(), "");
    }
    Environment none("CORNU_PLAN_CACHE", "");
    {
        Environment xdg("XDG_CACHE_HOME", cache.path.c_str());
        Tuned t(nullptr);
        EXPECT_EQ(t.timed(), (int)t.rows.size());
        EXPECT_EQ(access((cache.path + "/cornu").c_str(), F_OK), -1) << "an empty CORNU_PLAN_CACHE keeps nothing";
    }
    unsetenv("CORNU_PLAN_CACHE");
    Environment xdg("XDG_CACHE_HOME", cache.path.c_str());
    Tuned t(nullptr);
    EXPECT_EQ(t.note, "");
    EXPECT_EQ(access((cache.path + "/cornu").c_str(), F_OK), 0);
}

TEST(HostTune, OffByItselfOnHostExecution) {
    Folder folder;
    Environment e("CORNU_PLAN_CACHE", folder.path.c_str());
    Tuned t(nullptr, CORNU_TUNE_DEFAULT);
    EXPECT_EQ(t.timed() + t.known(), 0);
    EXPECT_EQ(folder.file(), "");
    Environment on("CORNU_TUNE", "full");
    Tuned u(nullptr, CORNU_TUNE_DEFAULT);
    EXPECT_EQ(u.timed(), (int)u.rows.size());
}

// Each call of a timing session fails once: an error or a guess, nothing is left behind, and results are right.
TEST(HostTune, CallsThatFail) {
    const Tuned reference("", CORNU_TUNE_OFF);
    const std::string before = held();
    for (const char* name : {"EventCreateWithFlags", "MallocHost", "Malloc", "MemsetAsync", "StreamBeginCapture", "StreamEndCapture", "GraphInstantiate", "GraphLaunch",
                             "EventRecord", "EventElapsedTime", "LaunchKernel", "MemcpyAsync", "StreamSynchronize", "Lt.Matmul"}) {
        inject(name, 1000000, cudaErrorInvalidValue);
        { Tuned t("", CORNU_TUNE_FULL); }
        long count = inject(nullptr, 0, 0), step = count / 6 + 1;
        for (long n = 1; n <= count; n += step) {
            int error = std::string(name).rfind("Malloc", 0) == 0 ? (int)cudaErrorMemoryAllocation : (int)cudaErrorInvalidValue;
            inject(name, n, error);
            {
                Tuned t("", CORNU_TUNE_FULL);
                inject(nullptr, 0, 0);
                if (t.status == CORNU_OK) expect_close(t.y, reference.y);
            }
            cuda_host::revive();
            ASSERT_EQ(held(), before) << name << " " << n << " of " << count;
        }
    }
}
