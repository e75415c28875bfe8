#include "node/staging.hpp"

#include "crypto/key_file.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

namespace bft::node {
namespace fs = std::filesystem;
namespace {

Error failed(const std::string& doing, const fs::path& path, const std::string& why) {
    return error(Errc::io, "cannot " + doing + " " + path.string() + ": " + why);
}

Result<void> make_folder(const fs::path& folder) {
    std::error_code bad;
    fs::create_directories(folder, bad);
    if (bad) return failed("make", folder, bad.message());
    return {};
}

}  // namespace

Result<Staging> Staging::open(const fs::path& target) {
    const fs::path full = fs::absolute(target).lexically_normal();
    std::error_code bad;
    const bool made = !fs::exists(full, bad);
    if (made) {
        if (Result<void> done = make_folder(full); !done) return done.error();
        ::chmod(full.c_str(), S_IRWXU);
    }
    std::string name = (full / ".init-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) return failed("write into", full, std::strerror(errno));
    return Staging(full, name, made);
}

Staging::Staging(Staging&& other) noexcept
    : target_(std::move(other.target_)),
      folder_(std::exchange(other.folder_, {})),
      made_target_(other.made_target_),
      files_(std::move(other.files_)) {}

Staging::~Staging() {
    if (folder_.empty()) return;
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
    if (made_target_) fs::remove(target_, ignored);  // only when it is empty
}

Result<fs::path> Staging::place(const fs::path& relative) {
    if (Result<void> done = make_folder((folder_ / relative).parent_path()); !done)
        return done.error();
    files_.insert(relative);
    return folder_ / relative;
}

Result<void> Staging::write(const fs::path& relative, std::string_view text) {
    const Result<fs::path> where = place(relative);
    if (!where) return where.error();
    std::ofstream out(*where, std::ios::binary);
    out << text;
    out.close();
    if (!out) return failed("write", *where, std::strerror(errno));
    return {};
}

Result<void> Staging::copy_folder(const fs::path& folder, const fs::path& relative) {
    std::error_code bad;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder, bad)) {
        if (!entry.is_regular_file()) continue;
        const Result<fs::path> where = place(relative / entry.path().lexically_relative(folder));
        if (!where) return where.error();
        fs::copy_file(entry.path(), *where, bad);
        if (bad) return failed("copy", entry.path(), bad.message());
    }
    if (bad) return failed("read", folder, bad.message());
    return {};
}

Result<void> Staging::copy_secret(const fs::path& file, const fs::path& relative) {
    const std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    if (!in || !(text << in.rdbuf()))  // of a folder, or of nothing, this fails
        return error(Errc::not_found, "cannot read " + file.string() + ", or it is empty");
    const Result<fs::path> where = place(relative);
    if (!where) return where.error();
    return crypto::write_private_file(*where, text.str());
}

std::vector<fs::path> Staging::conflicts() const {
    std::vector<fs::path> taken;
    std::error_code bad;
    for (const fs::path& file : files_)
        if (fs::exists(target_ / file, bad)) taken.push_back(target_ / file);
    return taken;
}

Result<void> Staging::commit(const fs::path& set_aside) {
    std::error_code bad;
    for (const fs::path& file : files_) {
        if (!fs::exists(target_ / file, bad)) continue;
        const fs::path aside = target_ / set_aside / file;
        if (Result<void> done = make_folder(aside.parent_path()); !done) return done;
        fs::rename(target_ / file, aside, bad);
        if (bad) return failed("set aside", target_ / file, bad.message());
    }
    for (const fs::path& file : files_) {
        if (Result<void> done = make_folder((target_ / file).parent_path()); !done) return done;
        fs::rename(folder_ / file, target_ / file, bad);
        if (bad) return failed("write", target_ / file, bad.message());
    }
    made_target_ = false;
    return {};
}

}  // namespace bft::node
