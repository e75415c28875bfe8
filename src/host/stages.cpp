#include "host/stages.hpp"

namespace bft::host {

const char* to_string(Stage stage) {
    switch (stage) {
        case Stage::receive:
            return "receive";
        case Stage::verify:
            return "verify";
        case Stage::order:
            return "order";
        case Stage::sign:
            return "sign";
        case Stage::commit:
            return "commit";
        case Stage::commit_db:
            return "commit_db";
        case Stage::execute:
            return "execute";
        case Stage::vote:
            return "vote";
        case Stage::render:
            return "render";
        case Stage::reply:
            return "reply";
    }
    return "?";
}

}  // namespace bft::host
