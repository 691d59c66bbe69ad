<?php

declare(strict_types=1);

namespace Peer;

/** The commands of wire.md section 3. */
final class Command
{
    // gateway → worker
    public const ON_CONNECT = 1;
    public const ON_MESSAGE = 3;
    public const ON_CLOSE = 4;
    public const ON_WEBSOCKET_CONNECT = 205;

    // worker or backend → gateway, without an answer
    public const SEND_TO_ONE = 5;
    public const SEND_TO_ALL = 6;
    public const KICK = 7;
    public const DESTROY = 8;
    public const UPDATE_SESSION = 9;
    public const BIND_UID = 12;
    public const UNBIND_UID = 13;
    public const SEND_TO_UID = 14;
    public const JOIN_GROUP = 20;
    public const LEAVE_GROUP = 21;
    public const SEND_TO_GROUP = 22;
    public const UNGROUP = 27;
    public const WORKER_CONNECT = 200;
    public const GATEWAY_CLIENT_CONNECT = 202;
    public const SET_SESSION = 204;

    // worker or backend → gateway, with an answer
    public const GET_ALL_CLIENT_SESSIONS = 10;
    public const IS_ONLINE = 11;
    public const GET_CLIENT_ID_BY_UID = 15;
    public const BATCH_GET_CLIENT_ID_BY_UID = 16;
    public const GET_CLIENT_SESSIONS_BY_GROUP = 23;
    public const GET_CLIENT_COUNT_BY_GROUP = 24;
    public const SELECT = 25;
    public const GET_GROUP_ID_LIST = 26;
    public const BATCH_GET_CLIENT_COUNT_BY_GROUP = 28;
    public const GET_SESSION_BY_CLIENT_ID = 203;
}
