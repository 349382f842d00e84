{{
    config(
        materialized = 'incremental',
        incremental_strategy = 'whole_days',
        on_schema_change = 'fail',
        indexes = row_store_indexes(['operation_date', 'session_id'])
    )
}}

{%- set days = days_to_rebuild(built = day_fingerprints(this)) %}

with operations as (

    select * from {{ ref('stg_llm_ops__operations') }}
    where {{ falls_on(days, instant = 'started_at_instant') }}

),

sessions as (

    select * from {{ ref('stg_llm_ops__sessions') }}

),

enriched as (

    select
        operations.*,

        sessions.workspace,
        sessions.agent_id,

        coalesce(
            operations.input_tokens + operations.output_tokens, operations.input_tokens, operations.output_tokens
        ) as total_tokens,
        cast(operations.output_tokens as double precision)
        * 1000
        / nullif(operations.latency_ms, 0) as output_tokens_per_second,
        {{ to_usd('operations.recorded_cost_usd') }} as cost_usd,

        {{ is_error_status('operations.status', 'operations.has_error_message') }} as is_error,

        sessions.loaded_at as session_loaded_at

    from operations
    left join sessions on operations.session_id = sessions.session_id

),

final as (

    select
        operation_id,
        session_id,
        action_id,

        workspace,
        agent_id,
        operation_type,
        provider,
        model,
        status,

        input_tokens,
        output_tokens,
        total_tokens,
        cache_read_tokens,
        cache_write_tokens,
        reasoning_tokens,
        latency_ms,
        time_to_first_token_ms,
        output_tokens_per_second,
        cost_usd,

        cost_usd is not null as is_priced,
        is_error,

        operation_date,

        started_at,
        loaded_at,
        session_loaded_at

    from enriched

)

select * from final
