// Saving in every format: what comes back, and real faults, after which the old file is what it was.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

#include "keras/upgrade.h"
#include "keras/writers.h"
#include "tests/keras/files.h"

using files::Folder;
using files::member;
using files::read;
using files::sample;
using files::unzip;

namespace {

struct Document {
    cn_document* doc = nullptr;
    cornu_status status;
    explicit Document(const std::string& path, const char* config = nullptr) {
        cornu_load_options options = CORNU_LOAD_OPTIONS_INIT;
        options.config_path = config;
        status = cn_document_open(path.c_str(), &options, &doc);
    }
    ~Document() { cn_document_close(doc); }
};

struct Target {
    const char* name;
    cornu_format format;
    cornu_dialect dialect;
};

const Target targets[] = {
    {"B.keras", CORNU_FORMAT_AUTO, CORNU_DIALECT_AUTO},        {"B-dir/", CORNU_FORMAT_AUTO, CORNU_DIALECT_AUTO},
    {"B.weights.h5", CORNU_FORMAT_AUTO, CORNU_DIALECT_AUTO},   {"B.weights.json", CORNU_FORMAT_AUTO, CORNU_DIALECT_AUTO},
    {"B.h5", CORNU_FORMAT_AUTO, CORNU_DIALECT_AUTO},           {"B.hdf5", CORNU_FORMAT_AUTO, CORNU_DIALECT_TF},
    {"B-weights.h5", CORNU_FORMAT_H5_WEIGHTS, CORNU_DIALECT_AUTO}, {"B.json", CORNU_FORMAT_AUTO, CORNU_DIALECT_AUTO},
    {"B-tf.json", CORNU_FORMAT_AUTO, CORNU_DIALECT_TF},        {"B.npz", CORNU_FORMAT_AUTO, CORNU_DIALECT_AUTO},
};

cornu_save_options options_of(const Target& target, int overwrite = 1) {
    cornu_save_options options = CORNU_SAVE_OPTIONS_INIT;
    options.format = target.format;
    options.dialect = target.dialect;
    options.overwrite = overwrite;
    return options;
}

cornu_status save(cn_document* doc, const std::string& path, const Target& target, int overwrite = 1) {
    cornu_save_options options = options_of(target, overwrite);
    return cn_document_save(doc, path.c_str(), &options);
}

// Names and bytes of all files below a folder.
std::string snapshot(const std::string& folder) {
    std::vector<std::string> names;
    std::string out;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (entry.is_regular_file()) names.push_back(entry.path());
    }
    std::sort(names.begin(), names.end());
    for (const auto& name : names) out += name + "\n" + read(name) + "\n";
    return out;
}

// What a function finds wrong in a process of its own, "" for nothing; "skip" where the system does not let it try.
std::string in_child(const std::function<std::string()>& run) {
    int ends[2];
    std::string out;
    char piece[512];
    ssize_t n;
    if (pipe(ends) != 0) return "no pipe";
    pid_t child = fork();
    if (child == 0) {
        const std::string said = run();
        (void)!write(ends[1], said.data(), said.size());
        _exit(0);
    }
    (void)close(ends[1]);
    while ((n = ::read(ends[0], piece, sizeof piece)) > 0) out.append(piece, (size_t)n);
    (void)close(ends[0]);
    int status = 0;
    (void)waitpid(child, &status, 0);
    return WIFEXITED(status) ? out : "the process died of signal " + std::to_string(WTERMSIG(status));
}

// The weights of a document by path, after being brought to Keras 3's form.
std::string weights(cn_document* doc) {
    cn_document* view = nullptr;
    std::string out;
    EXPECT_EQ(cn_document_upgraded(doc, &view), CORNU_OK) << cornu_last_error();
    std::vector<std::string> all;
    for (size_t i = 0; view && i < cn_document_variable_count(view); i++) {
        const cn_variable* v = cn_document_variable_at(view, i);
        std::string bytes((size_t)v->count * cornu_dtype_size(v->dtype), '\0');
        if (v->is_optimizer || std::string(v->path).find("optimizer") == 0) continue;
        EXPECT_EQ(cn_document_read(view, v, bytes.data()), CORNU_OK) << cornu_last_error();
        all.push_back(std::string(v->path) + " " + std::to_string(v->dtype) + " : " + bytes + "\n");
    }
    std::sort(all.begin(), all.end());
    for (const auto& one : all) out += one;
    return out;
}

}  // namespace

TEST(Writers, EveryFormatComesBack) {
    Folder folder;
    Document a(sample("sequential.keras"));
    ASSERT_EQ(a.status, CORNU_OK) << cornu_last_error();
    const std::string wanted = weights(a.doc);
    ASSERT_NE(wanted, "");
    files::write(folder / "arch.json", member(unzip(read(sample("sequential.keras"))), "config.json"));
    const std::string arch = folder / "arch.json";
    for (const Target& target : targets) {
        const std::string path = folder / target.name;
        ASSERT_EQ(save(a.doc, path, target), CORNU_OK) << target.name << ": " << cornu_last_error();
        const cn_writer* writer = nullptr;
        ASSERT_EQ(cn_writer_of_path(path.c_str(), target.format, &writer), CORNU_OK);
        Document b(path, writer->weights_only ? arch.c_str() : nullptr);
        ASSERT_EQ(b.status, CORNU_OK) << target.name << ": " << cornu_last_error();
        EXPECT_STREQ(cn_document_format_name(b.doc), writer->name);
        if (writer->config_only) EXPECT_EQ(cn_document_variable_count(b.doc), 0u);
        else EXPECT_EQ(weights(b.doc), wanted) << target.name;
    }
}

TEST(Writers, AnExistingTargetIsLeftWithoutOverwrite) {
    Folder folder;
    Document a(sample("sequential.keras"));
    for (const Target& target : targets) ASSERT_EQ(save(a.doc, folder / target.name, target), CORNU_OK) << cornu_last_error();
    const std::string before = snapshot(folder.path);
    for (const Target& target : targets) {
        EXPECT_EQ(save(a.doc, folder / target.name, target, 0), CORNU_EXISTS) << target.name << ": " << cornu_last_error();
        EXPECT_NE(std::string(cornu_last_error()).find(std::string(target.name).substr(0, 5)), std::string::npos) << cornu_last_error();
    }
    EXPECT_EQ(snapshot(folder.path), before);
    std::filesystem::remove(folder / "B.weights.json");  // a shard alone is a target, too
    EXPECT_EQ(save(a.doc, folder / "B.weights.json", targets[3], 0), CORNU_EXISTS) << cornu_last_error();
}

TEST(Writers, ATooSmallFileLimitLeavesTheTarget) {
    for (const Target& target : targets) {
        const std::string said = in_child([&target] {
            Folder folder;
            Document old(sample("functional.keras")), a(sample("sequential.keras"));
            const std::string path = folder / target.name;
            if (save(old.doc, path, target) != CORNU_OK) (void)save(a.doc, path, target);
            const std::string before = snapshot(folder.path);
            const rlimit limit = {700, 700};
            (void)signal(SIGXFSZ, SIG_IGN);
            if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return std::string("skip");
            const cornu_status st = save(a.doc, path, target);
            std::string why = cornu_last_error();
            if (st != CORNU_IO_ERROR) return "status " + std::to_string(st) + " " + why;
            if (why.find(target.name[strlen(target.name) - 1] == '/' ? "B-dir" : "B") == std::string::npos) return "names nothing: " + why;
            return snapshot(folder.path) == before ? std::string() : "something was left or lost: " + why;
        });
        EXPECT_EQ(said, "") << target.name;
    }
}

TEST(Writers, AFullDiskLeavesTheTarget) {
    for (const Target& target : targets) {
        Folder folder;
        const std::string said = in_child([&target, &folder] {
            if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0) return std::string("skip");
            if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return std::string("skip");
            if (mount("tmpfs", folder.path.c_str(), "tmpfs", 0, "size=160k") != 0) return std::string("skip");
            Document a(sample("sequential.keras"));
            const std::string path = folder / target.name;
            if (save(a.doc, path, target) != CORNU_OK) return std::string("first save: ") + cornu_last_error();
            const std::string before = snapshot(folder.path);
            int fd = open((folder / "filler").c_str(), O_WRONLY | O_CREAT, 0600);
            const std::string junk(4096, 'f');
            while (write(fd, junk.data(), junk.size()) == (ssize_t)junk.size()) {
            }
            (void)close(fd);
            const cornu_status st = save(a.doc, path, target);
            const std::string why = cornu_last_error();
            (void)unlink((folder / "filler").c_str());
            if (st != CORNU_IO_ERROR) return "status " + std::to_string(st) + " " + why;
            if (snapshot(folder.path) != before) return "something was left or lost: " + why;
            return save(a.doc, path, target) == CORNU_OK ? std::string() : std::string("not after room was made: ") + cornu_last_error();
        });
        if (said == "skip") GTEST_SKIP() << "file systems cannot be mounted here";
        EXPECT_EQ(said, "") << target.name;
    }
}

TEST(Writers, TargetsThatCannotBeWritten) {
    Folder folder;
    Document a(sample("sequential.keras"));
    files::write(folder / "file", "old");
    for (const Target& target : targets) {
        std::string name = target.name;
        EXPECT_EQ(save(a.doc, folder / ("file/" + name), target), CORNU_IO_ERROR) << name << ": " << cornu_last_error();
        EXPECT_EQ(save(a.doc, "/proc/" + name, target), CORNU_IO_ERROR) << name << ": " << cornu_last_error();  // root cannot either
        EXPECT_NE(std::string(cornu_last_error()).find("/proc/B"), std::string::npos) << cornu_last_error();
        if (name.back() == '/') continue;
        std::filesystem::create_directory(folder / name);
        EXPECT_EQ(save(a.doc, folder / name, target), CORNU_BAD_ARGUMENT) << name << ": " << cornu_last_error();
        std::filesystem::remove(folder / name);
    }
    EXPECT_EQ(read(folder / "file"), "old");
    EXPECT_EQ(folder.count(), 1u);
}

TEST(Writers, EveryAllocationMayFail) {
    Folder folder;
    for (const Target& target : targets) {
        const std::string path = folder / target.name;
        Document first(sample("sequential.keras"));
        ASSERT_EQ(save(first.doc, path, target), CORNU_OK) << cornu_last_error();
        const size_t files = folder.count();
        bool done = false;
        for (uint64_t n = 1; !done && n < 20000; n++) {
            Document a(sample("sequential.keras"));
            cn_alloc_fail_at(n, false);
            const cornu_status st = save(a.doc, path, target);
            cn_alloc_fail_at(0, false);
            ASSERT_TRUE(st == CORNU_OK || st == CORNU_NO_MEMORY) << target.name << " " << n << ": " << cornu_last_error();
            done = st == CORNU_OK;
        }
        EXPECT_TRUE(done) << target.name;
        EXPECT_EQ(folder.count(), files) << target.name;
        Document again(path);
        EXPECT_EQ(again.status, CORNU_OK) << target.name << ": " << cornu_last_error();
    }
}

TEST(Writers, ShardsKeepTheirLimitAndTheirNames) {
    Folder folder;
    Document a(sample("sequential.keras"));
    const std::string path = folder / "m.weights.json";
    cornu_save_options options = CORNU_SAVE_OPTIONS_INIT;
    options.shard_bytes = 8;
    EXPECT_EQ(cn_document_save(a.doc, path.c_str(), &options), CORNU_BAD_ARGUMENT);
    EXPECT_NE(std::string(cornu_last_error()).find("variable 'layers/"), std::string::npos) << cornu_last_error();
    EXPECT_EQ(folder.count(), 0u);
    options.shard_bytes = 64;
    ASSERT_EQ(cn_document_save(a.doc, path.c_str(), &options), CORNU_OK) << cornu_last_error();
    const size_t small = folder.count();
    EXPECT_GT(small, 3u);
    for (int i = 0; i < 3; i++) ASSERT_EQ(cn_document_save(a.doc, path.c_str(), &options), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(folder.count(), small);  // neither older shards nor temporary names
    EXPECT_TRUE(std::filesystem::exists(folder / "m_00000.weights.h5"));
    Document b(path);
    ASSERT_EQ(b.status, CORNU_OK) << cornu_last_error();
    ASSERT_EQ(cn_document_save(b.doc, path.c_str(), nullptr), CORNU_OK) << cornu_last_error();  // onto the shards that it reads
    EXPECT_EQ(folder.count(), 2u);
    Document c(path);
    EXPECT_EQ(cn_document_variable_count(c.doc), cn_document_variable_count(a.doc));
}

TEST(Writers, WhatAFormatCannotHoldIsNamed) {
    Folder folder;
    Document vocabulary(sample("lookup.keras"));
    files::write(folder / "B.h5", "old");
    EXPECT_EQ(save(vocabulary.doc, folder / "B.h5", targets[4]), CORNU_UNSUPPORTED);
    EXPECT_NE(std::string(cornu_last_error()).find("assets/"), std::string::npos) << cornu_last_error();
    Document half(sample("bfloat16.keras"));
    EXPECT_EQ(save(half.doc, folder / "B.npz", targets[9]), CORNU_UNSUPPORTED);
    EXPECT_NE(std::string(cornu_last_error()).find("bfloat16"), std::string::npos) << cornu_last_error();
    EXPECT_EQ(read(folder / "B.h5"), "old");
    EXPECT_EQ(folder.count(), 1u);
}

TEST(Writers, TwoVariablesOfOneNameAreNamed) {
    Folder folder;
    auto members = unzip(read(sample("sequential.keras")));
    for (auto& m : members) {
        size_t at = m.first == "config.json" ? m.second.find("\"name\": \"dense_1\"") : std::string::npos;
        if (at != std::string::npos) m.second.replace(at, 17, "\"name\": \"dense\"");
    }
    files::write(folder / "a.keras", files::zip(members));
    Document a(folder / "a.keras");
    ASSERT_EQ(a.status, CORNU_OK) << cornu_last_error();
    EXPECT_EQ(save(a.doc, folder / "B.h5", targets[4]), CORNU_UNSUPPORTED);
    EXPECT_NE(std::string(cornu_last_error()).find("two 'dense'"), std::string::npos) << cornu_last_error();
    EXPECT_EQ(folder.count(), 1u);
}

TEST(Writers, LossesAreTold) {
    Folder folder;
    Document vocabulary(sample("lookup.keras"));
    std::string told;
    cornu_save_options options = CORNU_SAVE_OPTIONS_INIT;
    options.note_user = &told;
    options.note = [](void* user, const char* sentence) { *(std::string*)user += std::string(sentence) + "\n"; };
    ASSERT_EQ(cn_document_save(vocabulary.doc, (folder / "B.weights.h5").c_str(), &options), CORNU_OK) << cornu_last_error();
    EXPECT_NE(told.find("architecture"), std::string::npos) << told;
    EXPECT_NE(told.find("assets/"), std::string::npos) << told;
    told.clear();
    ASSERT_EQ(cn_document_save(vocabulary.doc, (folder / "B.keras").c_str(), &options), CORNU_OK) << cornu_last_error();
    EXPECT_EQ(told, "");
}
