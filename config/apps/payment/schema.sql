-- Accounts, payments between them, and what was paid in. The partition is the branch: its column comes first in
-- every key, so that ranges locked for one branch never reach into another.

CREATE TABLE branch (
    branch INT            NOT NULL,
    issued DECIMAL(18, 2) NOT NULL,
    PRIMARY KEY (branch)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin STATS_PERSISTENT = 1 STATS_AUTO_RECALC = 0;

-- `entries` counts the account's lines in `entry` and numbers the next one.
CREATE TABLE account (
    branch  INT            NOT NULL,
    account INT            NOT NULL,
    owner   VARCHAR(40)    NOT NULL,
    opening DECIMAL(12, 2) NOT NULL,
    balance DECIMAL(15, 2) NOT NULL,
    entries INT            NOT NULL,
    opened  DATETIME       NOT NULL,
    PRIMARY KEY (branch, account),
    CONSTRAINT balance_is_never_negative CHECK (balance >= 0)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin STATS_PERSISTENT = 1 STATS_AUTO_RECALC = 0;

-- Double entry: a payment is one line of each account, with opposite amounts.
CREATE TABLE entry (
    branch        INT            NOT NULL,
    account       INT            NOT NULL,
    number        INT            NOT NULL,
    amount        DECIMAL(12, 2) NOT NULL,
    balance       DECIMAL(15, 2) NOT NULL,
    other_branch  INT            NOT NULL,
    other_account INT            NOT NULL,
    other_number  INT            NOT NULL,
    paid          DATETIME       NOT NULL,
    memo          VARCHAR(80)    NOT NULL,
    PRIMARY KEY (branch, account, number)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin STATS_PERSISTENT = 1 STATS_AUTO_RECALC = 0;
