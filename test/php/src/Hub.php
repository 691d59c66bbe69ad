<?php

declare(strict_types=1);

namespace Peer;

/** A gateway's clients by number, uid and group; every list is in the order in which clients came into it. */
final class Hub
{
    /** @var array<int, Client> */
    public array $clients = [];
    /** @var array<array-key, array<int, Client>> */
    private array $uids = [];
    /** @var array<array-key, array<int, Client>> */
    private array $groups = [];

    public function add(Client $client): void
    {
        $this->clients[$client->id] = $client;
    }

    public function remove(Client $client): void
    {
        $this->unbind($client);
        foreach ($client->groups as $group) {
            $this->leave($client, $group);
        }
        unset($this->clients[$client->id]);
    }

    /** In place of the uid that it had. */
    public function bind(Client $client, string $uid): void
    {
        if (!$uid) {
            return;
        }
        $this->unbind($client);
        $client->uid = $uid;
        $this->uids[$uid][$client->id] = $client;
    }

    public function unbind(Client $client): void
    {
        if ($client->uid !== null) {
            self::take($this->uids, $client->uid, $client);
            $client->uid = null;
        }
    }

    public function join(Client $client, string $group): void
    {
        if (!$group) {
            return;
        }
        $client->groups[$group] = $group;
        $this->groups[$group][$client->id] = $client;
    }

    public function leave(Client $client, string $group): void
    {
        self::take($this->groups, $group, $client);
        unset($client->groups[$group]);
    }

    public function ungroup(string $group): void
    {
        foreach ($this->members($group) as $client) {
            $this->leave($client, $group);
        }
    }

    /** @return array<int, Client> */
    public function clientsOf(string $uid): array
    {
        return $this->uids[$uid] ?? [];
    }

    /** @return array<int, Client> */
    public function members(string $group): array
    {
        return $this->groups[$group] ?? [];
    }

    /** @return list<string|int> decimal names as ints, as PHP's array keys are */
    public function groupNames(): array
    {
        return array_keys($this->groups);
    }

    private static function take(array &$index, string $name, Client $client): void
    {
        unset($index[$name][$client->id]);
        if (($index[$name] ?? null) === []) {
            unset($index[$name]);
        }
    }
}
