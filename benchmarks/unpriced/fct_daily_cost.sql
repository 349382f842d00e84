-- As in the project, less all that prices do.
{{
    config(
        materialized = 'incremental',
        incremental_strategy = 'whole_days',
        on_schema_change = 'fail'
    )
}}

{%- set days = days_to_rebuild(built = 'select distinct operation_date, day_fingerprint from ' ~ this) %}

-- Not copied, as a CTE that is read twice would be, with all its columns.
with operations as not materialized (

    select * from {{ ref('fct_llm_operations') }}
    where {{ falls_on(days) }}

),

days as (

    {{ day_fingerprints('operations') }}

),

grouped as (

    select
        operation_date,
        workspace,
        agent_id,
        provider,
        model,
        operation_type,

        count(*) as operation_count,
        count(unpriced_reason) as unpriced_operation_count,
        count(case when unpriced_reason in ('failed', 'no_usage') then 1 end) as without_usage_count,
        count(case when unpriced_reason in ('no_model', 'unknown_model', 'unmeasured_units') then 1 end)
            as without_price_count,
        count(case when unpriced_reason in ('impossible_usage', 'ambiguous_usage') then 1 end)
            as impossible_usage_count,

        {%- for tokens in token_columns() + ['total_tokens'] %}
        cast(sum({{ tokens }}) as bigint) as {{ tokens }},
        {%- endfor %}
        cast(sum(case when is_priced then total_tokens end) as bigint) as priced_tokens,
        cast(sum(case when unpriced_reason is not null then total_tokens end) as bigint) as unpriced_tokens,

        cast(sum(cost_usd) as numeric(38, 12)) as cost_usd,
        cast(sum(recorded_cost_usd) as numeric(38, 12)) as recorded_cost_usd,
        {%- for amount in [
            'list_cost_usd', 'current_cost_usd', 'list_input_cost_usd', 'list_cache_read_cost_usd',
            'list_cache_write_cost_usd', 'list_output_cost_usd', 'list_reasoning_cost_usd', 'list_audio_cost_usd',
            'list_request_cost_usd', 'cache_savings_usd', 'batch_savings_usd'
        ] %}
        cast(null as numeric(38, 12)) as {{ amount }},
        {%- endfor %}

        min(started_at) as first_operation_at,
        max(started_at) as last_operation_at

    from operations
    group by operation_date, workspace, agent_id, provider, model, operation_type

),

final as (

    select
        {{ surrogate_key([
            'grouped.operation_date', 'workspace', 'agent_id', 'provider', 'model', 'operation_type'
        ]) }} as daily_cost_id,
        {{ surrogate_key(['provider', 'model']) }} as model_id,
        grouped.*,
        {{ usd_per_1k('cost_usd', 'priced_tokens') }} as cost_per_1k_tokens_usd,
        days.day_fingerprint

    from grouped
    inner join days on grouped.operation_date = days.operation_date

)

select * from final
