{{ config(materialized = 'view') }}

{%- set entries_of = {
    'latency_ms': '[1:latency_ms_end]',
    'time_to_first_token_ms': '[latency_ms_end + 1:time_to_first_token_ms_end]',
    'output_tokens_per_second': '[time_to_first_token_ms_end + 1:output_tokens_per_second_end]',
} %}

-- Not copied, as a CTE that is read three times would be: filters on the view reach the table.
with packed as not materialized (

    -- Without the name of the database, which in DuckDB is that of the file and changes with it.
    select * from {{ ref('int_latencies_packed').include(database=false) }}

),

unpacked as (

    {% for metric, entries in entries_of.items() -%}
    select
        operation_date,
        workspace,
        provider,
        model,
        operation_type,
        cast('{{ metric }}' as text) as metric,
        unnest(buckets{{ entries }}) as bucket,
        unnest(small_counts{{ entries }}) as small_count,
        unnest(large_counts{{ entries }}) as large_count
    from packed
    {%- if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}

),

final as (

    select
        operation_date,
        workspace,
        provider,
        model,
        operation_type,
        metric,

        bucket,
        {{ histogram_value('bucket') }} as bucket_value,
        cast(coalesce(small_count, large_count) as bigint) as operation_count

    from unpacked

)

select * from final
