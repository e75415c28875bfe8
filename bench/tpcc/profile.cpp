#include "profile.hpp"

#include <charconv>

namespace bft::tpcc {

Result<std::vector<ProfileStep>> parse_profile(std::string_view text) {
    std::vector<ProfileStep> steps;
    const char* at = text.data();
    const char* end = at + text.size();
    while (true) {
        std::size_t clients = 0;
        std::int64_t seconds = 0;
        auto first = std::from_chars(at, end, clients);
        bool good = first.ec == std::errc() && first.ptr != end && *first.ptr == 'x';
        auto second = good ? std::from_chars(first.ptr + 1, end, seconds) : first;
        good = good && second.ec == std::errc() && clients > 0 && clients <= 100000 &&
               seconds > 0 && seconds <= 86400;
        if (!good || (second.ptr != end && *second.ptr != ','))
            return error(Errc::malformed,
                         "a profile is steps of CLIENTSxSECONDS, as in 8x30,64x60");
        steps.push_back({clients, std::chrono::seconds(seconds)});
        if (second.ptr == end) return steps;
        at = second.ptr + 1;
    }
}

}  // namespace bft::tpcc
