<?php

declare(strict_types=1);

namespace Peer;

/** A worker that is linked to a gateway. */
final class WorkerLink
{
    /** How many clients are bound to it. */
    public int $clients = 0;

    /** @param string $key REMOTE_IP:NAME:ID */
    public function __construct(public readonly string $key, public readonly Connection $connection)
    {
    }
}
