// A private swtpm in a fresh folder, stopped with the object.
#pragma once

#include "usig/provision.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <sys/types.h>

namespace bft::usig::test {

/// A new folder under the system's temporary folder, removed with the object.
class TempFolder {
public:
    TempFolder();
    ~TempFolder();
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

class Swtpm {
public:
    Swtpm();
    /// `manufacture` makes the state before the first start, in the folder that it is given.
    explicit Swtpm(const std::function<void(const std::filesystem::path& state)>& manufacture);
    ~Swtpm();
    Swtpm(const Swtpm&) = delete;
    Swtpm& operator=(const Swtpm&) = delete;

    [[nodiscard]] std::string tcti() const { return "swtpm:path=" + socket().string(); }
    [[nodiscard]] std::filesystem::path socket() const { return folder_.path() / "tpm.sock"; }
    /// SIGKILL and start again: sessions are lost, as in a power cut.
    void power_cut();
    void stop();
    void start();
    /// Copies the TPM's state aside and back: what no construction can see by itself.
    void save_state(const std::string& name);
    void restore_state(const std::string& name);

private:
    [[nodiscard]] bool answers() const;

    TempFolder folder_;
    pid_t pid_ = 0;
};

/// A provisioned TPM.
struct Host {
    Swtpm tpm;
    ProvisionOptions options;
    std::vector<PublicIdentity> identities;

    explicit Host(std::size_t counters = 1, const std::string& label = "test cluster");
    [[nodiscard]] std::map<UsigId, PublicIdentity> wanted() const;
};

Digest message(const std::string& text);

}  // namespace bft::usig::test
