// Makes sure that no two incarnations of a client use one sequence number (C3), whatever the clock
// does and however the process ends.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"

#include <filesystem>

namespace bft::client {

/// A small file beside the client's key. Locked while open: a second process with the same key
/// would give one number to two requests.
class SequenceFile {
public:
    /// Errc::unavailable: another process uses this client. Errc::io: cannot be read or written.
    static Result<SequenceFile> open(const std::filesystem::path& file, std::uint64_t wall_us);
    SequenceFile(SequenceFile&& other) noexcept;
    SequenceFile& operator=(SequenceFile&&) = delete;
    ~SequenceFile();

    /// The first number of this incarnation: the clock in microseconds, or what an earlier
    /// incarnation reserved if the clock went back.
    [[nodiscard]] ClientSeq first() const { return first_; }
    /// Durably reserves more when less than half of a reservation is left above `highest`.
    Result<void> reserve(ClientSeq highest);

private:
    SequenceFile(std::filesystem::path file, int fd) : file_(std::move(file)), fd_(fd) {}
    Result<void> write(std::uint64_t reserved);

    std::filesystem::path file_;
    int fd_ = -1;
    ClientSeq first_{};
    std::uint64_t reserved_ = 0;
};

}  // namespace bft::client
