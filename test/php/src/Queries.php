<?php

declare(strict_types=1);

namespace Peer;

/** What a gateway knows when it is asked: the commands with an answer. */
final class Queries
{
    public function __construct(private readonly Hub $hub)
    {
    }

    /** The answer as it goes on the wire; null if it is no question. */
    public function answer(Frame $frame): ?string
    {
        $answer = $frame->command === Command::GET_SESSION_BY_CLIENT_ID
            ? $this->session($this->hub->clients[$frame->connectionId] ?? null)
            : $this->value($frame);
        return $answer === null ? null : pack('N', strlen($answer)) . $answer;
    }

    private function value(Frame $frame): ?string
    {
        $ext = $frame->ext;
        return match ($frame->command) {
            Command::IS_ONLINE => serialize((int) isset($this->hub->clients[$frame->connectionId])),
            Command::GET_ALL_CLIENT_SESSIONS => serialize(self::sessions($this->hub->clients)),
            Command::GET_CLIENT_SESSIONS_BY_GROUP => serialize(self::sessions($this->hub->members($ext))),
            Command::GET_CLIENT_ID_BY_UID => serialize(array_keys($this->hub->clientsOf($ext))),
            Command::BATCH_GET_CLIENT_ID_BY_UID => serialize(self::forEach($ext, fn($uid) =>
                array_keys($this->hub->clientsOf($uid)))),
            Command::GET_CLIENT_COUNT_BY_GROUP => serialize(count($ext === ''
                ? $this->hub->clients
                : $this->hub->members($ext))),
            Command::BATCH_GET_CLIENT_COUNT_BY_GROUP => serialize(self::forEach($ext, fn($group) =>
                count($this->hub->members($group)))),
            Command::GET_GROUP_ID_LIST => serialize($this->hub->groupNames()),
            Command::SELECT => serialize($this->select(json_decode($ext, true))),
            default => null,
        };
    }

    private function session(?Client $client): string
    {
        if ($client === null) {
            return serialize(null);
        }
        return $client->session === '' ? serialize([]) : $client->session;
    }

    /** @return array<int, array<string, mixed>> */
    private function select(array $parameters): array
    {
        $rows = [];
        foreach ($this->found($parameters['where']) as $id => $client) {
            $values = ['groups' => $client->groups, 'session' => $client->session, 'uid' => $client->uid];
            $rows[$id] = array_intersect_key($values, array_flip($parameters['fields']));
        }
        return $rows;
    }

    /** @return array<int, Client> */
    private function found(array $where): array
    {
        if ($where === []) {
            return $this->hub->clients;
        }
        $found = [];
        foreach ($where['groups'] ?? [] as $group) {
            $found += $this->hub->members((string) $group);
        }
        foreach ($where['uid'] ?? [] as $uid) {
            $found += $this->hub->clientsOf((string) $uid);
        }
        foreach ($where['connection_id'] ?? [] as $id) {
            $found += array_intersect_key($this->hub->clients, [(int) $id => true]);
        }
        return $found;
    }

    /**
     * @param array<int, Client> $clients
     * @return array<int, string>
     */
    private static function sessions(array $clients): array
    {
        return array_map(static fn(Client $client) => $client->session, $clients);
    }

    /** Name → answer for each name of the JSON list. */
    private static function forEach(string $names, \Closure $answer): array
    {
        $answers = [];
        foreach (json_decode($names, true) as $name) {
            $answers[$name] = $answer((string) $name);
        }
        return $answers;
    }
}
